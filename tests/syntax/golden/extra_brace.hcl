dataset "x" {
}}
after = 2
