output "fine" {
  value = 1
}
# --- file blocks.mlf.json
{
  "locals": { "a": 1, "a": 2 },
  "variable": { "v": 3 },
  "training_job": { "node": [5] },
  "output": "x",
  "//": "a comment"
}
# --- file syntax.mlf.json
{
  "locals": { "a": 01, "b": "\q", "c": tru, 'd': 1 },
}
# --- file template.mlf.json
{ "locals": { "a": "${1 +}", "b": "%{ if true }x" } }
# --- file unclosed.mlf.json
{ "locals": { "a": "x
# --- file top.mlf.json
[1]
