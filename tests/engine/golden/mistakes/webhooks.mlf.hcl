mlform {
  webhook {
    url = "https://example.com"
  }
  webhook "a" {
    url    = "ftp://example.com"
    events = ["alarm", "aplied"]
  }
  webhook "b" {
    events = "applied"
  }
  webhook "c" {
    url     = "https://example.com"
    headers = "Authorization"
    secret  = 1
  }
  webhook "d" {
    url = "https://example.com"
  }
  webhook "d" {
    url = "https://example.com"
  }
}
