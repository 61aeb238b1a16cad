a = b.
c = b..d
e = b.0.1
f = b.*.*
g = b[]
h = b[0, 1]
i = b."c"
j = b[
