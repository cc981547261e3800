"""What somebody could try is refused in words, and reaches no database."""

import pytest

from mlmarket.expressions import ExpressionError, Type
from mlmarket.orchestration.conditions import ConditionError, Conditions, EventMatch

SCHEMA = {"score": Type.NUMBER, "country": Type.TEXT, "vip": Type.BOOLEAN, "as_of": Type.TIME}
HOSTILE = [
    # queries and statements
    "count(open); drop table people",
    "count(open) > 1; delete from outbox",
    "score > 1 union select * from contacts",
    "(select count(*) from contacts) > 0",
    "exists (select 1)",
    "score in (select score from people)",
    "vip or 1 = 1 or (select true)",
    "with x as (select 1) select * from x",
    "count(open, where value > (select max(value) from activity))",
    "count(open, where exists (select 1))",
    "count(open, where value > 1) from activity",
    "count(*) > 1",
    "count(distinct open) > 1",
    "count(open) over () > 1",
    "count(open) filter (where vip) > 1",
    "attach 'x.db'",
    "copy people to 'x.csv'",
    "pragma database_list",
    "install httpfs",
    # comments
    "count(open) -- > 1",
    "count(open /* , within='1d' */) > 1",
    "count(open, where value > 1 -- ) > 1\n) > 1",
    "count(open) > 1 # comment",
    "--",
    "/*",
    # functions that were not given
    "read_csv('/etc/passwd') is null",
    "read_text('/etc/passwd') = ''",
    "getenv('HOME') = ''",
    "current_setting('x') = ''",
    "pg_sleep(10) is null",
    "count(open, where getenv('HOME') = '')",
    "count(open, where read_blob('x') is null)",
    "count(count(open)) > 1",
    "count(open, where count(open) > 1) > 1",
    "in_segment(in_segment(loyal))",
    "received(count(open))",
    '"count"(open) > 1',
    "count (open) (open) > 1",
    "main.count(open) > 1",
    "eval('1')",
    "exec('import os')",
    "lambda x: x",
    # the insides of Python and of templates
    "__class__ is null",
    "vip.__class__ is null",
    "__import__('os').system('x') = 0",
    "count(open).__globals__ is null",
    "{{ 7 * 7 }} = 49",
    "${jndi:ldap://x} = 1",
    "%(name)s = 1",
    "? = 1",
    ":name = 1",
    "$1 = 1",
    "@@version = 1",
    # quotes and names
    "count('open) > 1",
    "count(open') > 1",
    "count(''') > 1",
    'count("open") > 1',
    "count(`open`) > 1",
    "count(e'open') > 1",
    "count($$open$$) > 1",
    "count('open' 'click') > 1",
    "count('') > 0",
    "count(' open') > 0",
    "in_segment('loyal''') or",
    "count(where) > 1",
    "count(null) > 1",
    "count(not) > 1",
    "count(open, within='1d' or 1 = 1)",
    "count(open, within='1d; drop table x') > 1",
    "count(open, within='interval 1 day') > 1",
    "count(open, since='entry') > 1 and since = 'entry'",
    "count(open, since='now()') > 1",
    "count(open, table='people') > 1",
    "count(open, where=1) > 1",
    # numbers and lengths
    "count(open, within='0d') > 1",
    "count(open, within='-1d') > 1",
    "count(open, within='1e9d') > 1",
    "count(open, within='99999999999999999999d') > 1",
    "count(open, within='36501d') > 1",
    "count(open, within=14d) > 1",
    "score > 1e999",
    "score > 0x10",
    "score > 1_000",
    f"score > {'9' * 10_001}",
    # characters
    "count(open) > 1\x00",
    "count('op\x00en') > 1",
    "count('open\u202e') > 1",
    "count(open\u202e) > 1",
    "count('op\u200ben') > 1",
    "count(open)\u2060 > 1",
    "\ufeffcount(open) > 1",
    "count(open) \uff1e 1",
    "count\uff08open\uff09 > 1",
    "count('a\ud800') > 1",
    "count('open\n') > 1",
    "count(open) ≥ 1",
    "sсore > 1",  # noqa: RUF001 - the second letter is Cyrillic
    "count(open) > 1\u037e",
    # size
    "(" * 60 + "vip" + ")" * 60,
    "not " * 60 + "vip",
    "-" * 200 + "1 > 0",
    f"count({'a' * 201}) > 1",
    f"count('{'a' * 9_000}') > 1",
    " or ".join(["count(open) > 1"] * 1_000),
    "count(" * 100 + "open" + ")" * 100 + " > 1",
    f"count(open, where {'(' * 60}value > 1{')' * 60}) > 1",
    f"count(open, where {'1 / (' * 10}value{')' * 10} > 1) > 1",
    "",
    "   ",
    "\n\t",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:40]))
def test_a_hostile_condition_is_refused(text):
    with pytest.raises(ConditionError, match=r"Fix: "):
        Conditions.parse({"it": text}, schema=SCHEMA)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:40]))
def test_a_hostile_condition_over_events_is_refused(text):
    with pytest.raises(ExpressionError, match=r"Fix: "):
        EventMatch.parse("order", text)


def test_what_is_only_data_stays_data():
    text = "count('x''); drop table people; --', where item_id = 'a'' or 1=1 --') = 0"
    asked = Conditions.parse({"it": text}, schema=SCHEMA)
    assert asked.types == ("x'); drop table people; --",)
    assert str(asked.expressions["it"]) == text


def test_the_list_is_long():
    assert len(set(HOSTILE)) >= 100
