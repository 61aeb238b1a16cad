"""The layout, on texts that show its rules together. Most cases are in cases.json."""

from __future__ import annotations

import pytest
from tests.syntax.trees import problems

from mlform.diagnostics import Diagnostics
from mlform.syntax.layout import layout

BEFORE = """\
block   "a"    b{
c=1
   dd  =  2   # x
 e=3  // y
   /* f */ ff = 4
   g = [ # z
1, # one
222222,# two
   ]
   x = [{
a=1
},{
b=2
}]
   nested{a=1}
empty{}
q=<<-E
    keep   this ${  x  }
      E


}
v = "${
  x
  }"
d=f({a=1},[{b=2}],- 1,!x,! x, -x - - x,a- -1)
h=a::b :: c(1 , 2 ... )
é_long = x [ - 1 ]  # a
bb="%{ for a in b ~} ${ a } %{~ endfor }" # b
"""

AFTER = """\
block "a" "b" {
  c          = 1
  dd         = 2 # x
  e          = 3 // y
  /* f */ ff = 4
  g = [     # z
    1,      # one
    222222, # two
  ]
  x = [{
    a = 1
    }, {
    b = 2
  }]
  nested { a = 1 }
  empty {}
  q = <<-E
    keep   this ${x}
      E


}
v      = x
d      = f({ a = 1 }, [{ b = 2 }], -1, !x, !x, -x - -x, a- - 1)
h      = a::b::c(1, 2...)
é_long = x[-1]                            # a
bb     = "%{for a in b~} ${a} %{~endfor}" # b
"""


def laid_out(text: str) -> str:
    diagnostics = Diagnostics()
    result = layout(text, "spec.hcl", diagnostics)
    assert problems(diagnostics) == []
    return result


def test_a_whole_text() -> None:
    assert laid_out(BEFORE) == AFTER
    assert laid_out(AFTER) == AFTER


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a=1", "a = 1\n"),
        ("", ""),
        ("\n\n  a=1\n\n\n", "\n\na = 1\n\n\n"),
        ("a=1\r\nbb=2\r\n", "a  = 1\r\nbb = 2\r\n"),
        ("a=<<E\n   x  \nE\nb=2\n", "a = <<E\n   x  \nE\nb = 2\n"),
        ('a = "  keep   ${ [1,2] }  this"\n', 'a = "  keep   ${[1, 2]}  this"\n'),
        ("a=(\n1+\n2)\n", "a = (\n  1 +\n2)\n"),
        ("a={b=1,c=2}\n", "a = { b = 1, c = 2 }\n"),
        ("日本=1 # x\na=2   # y\n", "日本 = 1 # x\na  = 2 # y\n"),
        ('a = "${ b }"\nc = ["${ b }"]\n', 'a = b\nc = ["${b}"]\n'),
        ('a = "${b +\nc}"\n', "a = (b +\nc)\n"),
    ],
)
def test_small_texts(before: str, after: str) -> None:
    assert laid_out(before) == after


def test_a_text_with_errors_is_left_alone() -> None:
    diagnostics = Diagnostics()
    text = "a=1\nb=(\n"
    assert layout(text, "spec.hcl", diagnostics) == text
    assert [found.summary for found in diagnostics] == ["Invalid expression"]
