a = [for x y : x]
b = [for x in y : x => x]
c = {for x in y : x}
d = [for x in y x]
e = [for x in y : x...]
f = [for x in y : x, 1]
g = {for = 1}
h = [for x in y : x if]
i = [for x iné : x]
