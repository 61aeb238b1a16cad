mlform {
  encryption {
    passphrase  = "correct horse battery staple"
    key_command = ["pass", "show", "key"]
    enforced    = "yes"
    fallback {}
    fallback {
      passphrase = "short"
    }
    fallback {
      key_command = "pass show key"
    }
  }
}
