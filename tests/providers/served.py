"""What is changed of deployments, of what watches them, and of triggers."""

from __future__ import annotations

from collections.abc import Mapping

from tests.providers.changing import SPLIT, TOLD

from mlform.testing.changes import Changed

SECRET = """
variable "secret" {
  sensitive = true
  default   = ["a-token-of-some-length"]
}
"""
VIEWED = """
feature_view "sql" "v" {
  from   = dataset.d
  query  = "SELECT * FROM d"
  online = { absent = ["late"] }
}
"""
MANY = f"""
dataset "file" "many" {{
  path  = "many.csv"
  split = {SPLIT}
}}
gate "evaluation" "many" {{
  candidate = training_job.one.model
  data      = dataset.many
  require   = {{ roc_auc = {{ min = 0.1 }} }}
}}
"""
SERVERS = """
deployment "http" "api" {
  model = training_job.one.model
}
deployment "http" "other" {
  model = training_job.two.model
}
"""
WATCH = """
monitor "drift" "api" {
  target = deployment.api
  window = { rows = 300 }
  checks = { inputs = { alarm = 0.2 } }
}
monitor "drift" "other" {
  target = deployment.other
  window = { rows = 300 }
  checks = { inputs = { alarm = 0.2 } }
}
"""
DEPLOYMENT: Mapping[str, Changed] = {
    "model": "training_job.two.model",
    "features": "feature_view.v",
    "log": '{ redact = ["x"] }',
    "timeout_s": "20",
    "max_body_mb": "8",
    "tokens": "var.secret",
    "tokens_env": {"tokens_env": '"TOKENS"', "tokens": None},
    "rollout": '{ kind = "canary", bake = "1s" }',
    "name": '"renamed"',
    "host": '"localhost"',
    **TOLD,
    # What makes every start after it dearer comes last.
    "allow_pickle": "true",
    "workers": "2",
    "variants": "{ more = { model = training_job.one.model, share = 10 } }",
    "shadow": {"shadow": "training_job.one.model", "variants": None, "workers": None},
    "runtime": {"runtime": '{ kind = "native" }', "shadow": None},
}
"""Beside these ``port``: one that is free is known when the test runs."""
SERVED: dict[str, tuple[str, dict[str, str], Mapping[str, Changed]]] = {
    "monitor drift": (
        'monitor "drift" "it" {\nARGUMENTS\n}',
        {
            "target": "deployment.api",
            "window": "{ rows = 300 }",
            "checks": "{ inputs = { alarm = 0.2 } }",
        },
        {
            "window": "{ rows = 400 }",
            "checks": '{ inputs = { alarm = 0.1, method = "js" }, predictions = { alarm = 0.2 } }',
            "alarm": '{ sustain = 2, cooldown = "1h" }',
            "data": {"data": "dataset.d", "checks": "{ multivariate = { alarm = 0.9 } }"},
            "split": '"train"',
            "target": "deployment.other",
            **TOLD,
        },
    ),
    "monitor service": (
        'monitor "service" "it" {\nARGUMENTS\n}',
        {"target": "deployment.api", "checks": "{ error_rate = { max = 0.01 } }"},
        {
            "checks": "{ latency_ms = { p99 = 100 } }",
            "window": '{ every = "10m" }',
            "alarm": "{ sustain = 2 }",
            "data": {
                "data": "dataset.d",
                "time": '"t"',
                "checks": '{ freshness = { max_age = "9d" } }',
            },
            "time": '"x"',
            "target": "deployment.other",
            **TOLD,
        },
    ),
    "monitor performance": (
        MANY + 'monitor "performance" "it" {\nARGUMENTS\n}',
        {
            "target": "deployment.api",
            "labels": "dataset.e",
            "window": "{ rows = 300 }",
            "require": "{ accuracy = { min = 0.5 } }",
        },
        {
            "require": "{ accuracy = { min = 0.6 } }",
            "threshold": "0.4",
            "window": '{ every = "1d", wait = "7d" }',
            "labels": "dataset.d",
            "key": '["x"]',
            "label": '"late"',
            "slices": '{ by = ["g"], min_support = 50, min = { accuracy = 0.1 } }',
            "fairness": (
                '{ attribute = "g", demographic_parity_ratio = { min = 0.1 }, min_support = 50 }'
            ),
            "alarm": "{ sustain = 2 }",
            "release": "gate.g",
            "estimate": {"estimate": "true", "release": "gate.many"},
            "data": "dataset.d",
            "split": "null",
            "target": "deployment.other",
            **TOLD,
        },
    ),
    "trigger ": (
        WATCH + 'trigger "it" {\nARGUMENTS\n}',
        {"on": "[monitor.api]", "advance": "[dataset.d]"},
        {
            "on": "[monitor.api, monitor.other]",
            "advance": "[dataset.d, dataset.e]",
            "schedule": '"0 3 4 * *"',
            "need": "{ alarms = 2 }",
            "cooldown": '"1h"',
            "budget": "{ runs = 3 }",
            "mode": '"propose"',
            **TOLD,
        },
    ),
}
"""Each beside two deployments."""
