output "fine" {
  value = 1
}
# --- file spec.mlf.json
{
  "training_job": {
    "node": {
      "a": { "valeu": 1, "depends_on": ["training_job.b"], "note": "${var.nothing}" },
      "c": { "lifecycle": { "prevent_destory": true }, "piece": [{ "name": 3 }] }
    },
    "nod": { "b": {} }
  },
  "variable": { "v": { "type": "strin", "default": 1 } },
  "resouce": { "x": {} }
}
