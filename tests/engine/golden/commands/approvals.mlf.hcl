mlform {
  approver "anna" {
    key = "ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="
  }
}
dataset "file" "d" {
  path = "d.csv"
}
# --- file d.csv
a,b
1,2
# --- steps
# --- bytes anna.pem 2d2d2d2d2d424547494e2050524956415445204b45592d2d2d2d2d0a4d43344341514177425159444b3256774243494549414141414141414141414141414141414141414141414141414141414141414141414141414141414141410a2d2d2d2d2d454e442050524956415445204b45592d2d2d2d2d0a
# --- tell plan --out=saved.plan
# --- tell keys new --key=eve.pem
# --- run approve saved.plan --auto-approve --key=nobody.pem
# --- run approve saved.plan --auto-approve --key=d.csv
# --- run approve saved.plan --auto-approve --key=eve.pem
# --- run approve saved.plan --auto-approve --key=anna.pem --expires=2020-01-01
# --- run approve saved.plan --auto-approve --key=anna.pem
# --- run approve saved.plan --auto-approve --key=anna.pem --for=dataset.d
