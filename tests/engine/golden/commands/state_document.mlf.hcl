dataset "file" "d" {
  path = "d.csv"
}
# --- file d.csv
a,b
1,2
# --- file other/d.csv
a,b
1,2
3,4
# --- file other/main.mlf.hcl
dataset "file" "d" {
  path = "d.csv"
}
# --- file text.json
not a document
# --- file newer.json
{"format": 999}
# --- file half.json
{"format": 1, "lineage": "x"}
# --- file altered.json
{"format": 1, "lineage": "x", "serial": 1, "outputs": {}, "records": [], "results": [], "sha256": "0"}
# --- file damaged.json
{"format": 1, "lineage": "x", "serial": 1, "outputs": {}, "records": [{}], "results": [], "sha256": "0"}
# --- steps
# --- run apply --auto-approve
# --- run state push nowhere.json
# --- bytes latin.json fffe
# --- run state push latin.json
# --- run state push text.json
# --- run state push newer.json
# --- run state push half.json
# --- run state push damaged.json
# --- run state push altered.json
# --- pull pulled.json
# --- run state rm dataset.d
# --- run state push pulled.json
# --- run apply --auto-approve --chdir=other
# --- run state push --chdir=other pulled.json
# --- run state push --chdir=other --force pulled.json
# --- run audit --chdir=other dataset.d
# --- run store gc --drop=0000
# --- run store push
# --- run store push s4://bucket
# --- run store push s3://
