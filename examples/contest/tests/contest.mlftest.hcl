# What the spec promises, without training anything: the provider of training jobs is mocked.

mock_provider "sklearn" {}

mock_provider "core" {
  mock_resource "gate" "evaluation" {
    defaults = { passed = true }
  }
}

run "every_candidate_is_judged" {
  assert {
    condition     = keys(output.passed) == ["boosted", "forest", "linear"]
    error_message = "A candidate is missing."
  }

  assert {
    condition     = alltrue(values(output.passed))
    error_message = "All gates pass here."
  }
}

run "a_winner_must_be_a_candidate" {
  command = plan

  variables {
    winner = "none"
  }

  expect_failures = [var.winner]
}

run "a_gate_that_fails_keeps_the_model_out" {
  override_resource {
    target = module.candidate["linear"].gate.good
    values = { passed = false }
  }

  variables {
    winner = "linear"
    least  = 0.99
  }

  expect_failures = [model.tumours]
}
