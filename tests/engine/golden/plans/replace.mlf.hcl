deployment "file" "a" {
  shows = 1
}
# --- then
deployment "file" "a" {
  shows = 1
  where = "there"
}
