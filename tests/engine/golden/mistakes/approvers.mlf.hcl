mlform {
  approver "anna" {
    key   = "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    roles = "risk"
  }
  approver "ben" {
    key = "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
  }
  approver "anna" {
    key = "ed25519:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="
  }
  approver "carl" {
    key = "secret"
  }
  approver "dora" {}
  approver "e f" {
    key = "ed25519:CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA="
  }
}
