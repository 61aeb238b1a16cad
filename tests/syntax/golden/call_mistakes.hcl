a = f(b c)
d = f(b..., c)
e = ns::f
g = a.f(x)
h = f(x

i = f(,)
j = ns::(1)
