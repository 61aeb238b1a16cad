dataset "file" "d" {
  path = "d.csv"
}
output "rows" {
  value = dataset.d.rows
}
# --- file d.csv
a,b
1,2
# --- file tests/asserts.mlftest.hcl
run "early" {
  command = plan
  assert {
    condition     = output.rows == 1
    error_message = "One row."
  }
}
run "wrong" {
  assert {
    condition     = output.rows == 2
    error_message = "Two rows."
  }
  expect_failures = [dataset.d]
}
# --- file tests/mocks.mlftest.hcl
mock_provider "core" {
  mock_resource "dataset" "file" {
    defaults = "many"
  }
}
run "mocked" {}
# --- file tests/twice.mlftest.hcl
run "a" {}
run "a" {}
# --- steps
# --- tell test --test-directory=..
# --- tell test --filter=tests/none.mlftest.hcl
# --- tell test --filter=tests/twice.mlftest.hcl
# --- tell test --filter=tests/mocks.mlftest.hcl
# --- tell test --filter=tests/asserts.mlftest.hcl
