"""A file of the first version is upgraded as a whole, and everybody's journey goes on."""

# ruff: noqa: S608 - a fixed file, put together from constants.

from dataclasses import replace
from datetime import UTC, datetime

import duckdb
import pytest

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.migrations import SCHEMA_VERSION, prepare
from mlmarket.orchestration.state.store import StateStore

VERSION_1 = """
CREATE TABLE meta (schema_version INTEGER NOT NULL);
CREATE TABLE ticks (number INTEGER PRIMARY KEY, tick_id VARCHAR UNIQUE NOT NULL, previous VARCHAR,
    decided_at TIMESTAMP NOT NULL, fingerprint VARCHAR NOT NULL, playbook_id VARCHAR NOT NULL,
    versions VARCHAR[] NOT NULL);
CREATE TABLE playbooks (playbook_id VARCHAR PRIMARY KEY, definition VARCHAR NOT NULL);
CREATE TABLE journeys (version VARCHAR PRIMARY KEY, definition VARCHAR NOT NULL);
CREATE TABLE memberships (segment VARCHAR NOT NULL, contact_id VARCHAR NOT NULL,
    entered_at TIMESTAMP NOT NULL, why VARCHAR, since INTEGER NOT NULL, until INTEGER);
CREATE TABLE changes (segment VARCHAR NOT NULL, contact_id VARCHAR NOT NULL,
    change VARCHAR NOT NULL, why VARCHAR, tick INTEGER NOT NULL);
CREATE TABLE skipped (segment VARCHAR NOT NULL, reason VARCHAR NOT NULL, tick INTEGER NOT NULL);
CREATE TABLE enrolments (enrolment_id VARCHAR NOT NULL, journey VARCHAR NOT NULL,
    version VARCHAR NOT NULL, contact_id VARCHAR NOT NULL, entered_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL, position INTEGER NOT NULL, due_at TIMESTAMP NOT NULL,
    status VARCHAR NOT NULL, holdout VARCHAR, held_for VARCHAR, ended_at TIMESTAMP,
    goal_at TIMESTAMP, since INTEGER NOT NULL, until INTEGER);
CREATE TABLE decisions (decision_id VARCHAR NOT NULL, tick_id VARCHAR NOT NULL,
    decided_at TIMESTAMP NOT NULL, enrolment_id VARCHAR NOT NULL, contact_id VARCHAR NOT NULL,
    journey VARCHAR NOT NULL, version VARCHAR NOT NULL, step VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL, reasons VARCHAR[] NOT NULL, due_at TIMESTAMP,
    tick INTEGER NOT NULL);
CREATE TABLE outbox (idempotency_key VARCHAR PRIMARY KEY, contact_id VARCHAR NOT NULL,
    external_id VARCHAR, email VARCHAR, phone VARCHAR, journey VARCHAR NOT NULL,
    version VARCHAR NOT NULL, enrolment_id VARCHAR NOT NULL, step VARCHAR NOT NULL,
    channel VARCHAR NOT NULL, topic VARCHAR, template VARCHAR NOT NULL,
    not_before TIMESTAMP NOT NULL, expires_at TIMESTAMP NOT NULL, tick INTEGER NOT NULL);
INSERT INTO meta VALUES (1);
"""
JOURNEY = (
    '{"entry":{"segment":"leaving"},"exit":{"left_segment":true},"expires_after":"30D",'
    '"goal":"order","holdout":0.0,"journey":"win_back","reentry":null,"steps":[{"wait":"1D"},'
    '{"message":{"channel":"email","name":"first","template":"t_first","topic":"offers"}},'
    '{"wait":"7D"},{"message":{"channel":"email","name":"second","template":"t_second",'
    '"topic":"offers"}}],"title":"Win back people about to leave"}'
)
GONE = JOURNEY.replace("win_back", "gone")
PLAYBOOK = (
    '{"holdout":{"salt":"global_holdout","share":0.0},"journeys":[%s],"segments":[{'
    '"action":"Win back","name":"leaving","title":"About to leave","top":null,"when":'
    '"churn_probability_90d >= 0.5","why":"{churn_probability_90d:percent} risk"}]}'
)
ANA, RUI, ZOE = ("f0187a7e" * 8, "af944bf0" * 8, "c7e99c20" * 8)
ROWS = f"""
INSERT INTO playbooks VALUES ('{"d" * 64}', '{PLAYBOOK % (JOURNEY + "," + GONE)}'),
    ('{"e" * 64}', '{PLAYBOOK % JOURNEY}');
INSERT INTO journeys VALUES ('e184a027defda77d', '{JOURNEY}'), ('0000a027defda77d', '{GONE}');
INSERT INTO ticks VALUES
    (1, '{"1" * 64}', NULL, '2026-03-01', 'f1', '{"d" * 64}',
        ['0000a027defda77d', 'e184a027defda77d']),
    (2, '{"2" * 64}', '{"1" * 64}', '2026-03-02', 'f1', '{"e" * 64}', ['e184a027defda77d']);
INSERT INTO memberships VALUES ('leaving', 'ana', '2026-03-01', '90% risk', 1, NULL),
    ('leaving', 'rui', '2026-03-01', '70% risk', 1, 2);
INSERT INTO changes VALUES ('leaving', 'ana', 'entered', '90% risk', 1),
    ('leaving', 'rui', 'left', '70% risk', 2);
INSERT INTO skipped VALUES ('vip', 'no column', 2);
INSERT INTO enrolments VALUES
    ('{ANA}', 'win_back', 'e184a027defda77d', 'ana', '2026-03-01', '2026-03-31', 1, '2026-03-02',
        'active', NULL, NULL, NULL, NULL, 1, 2),
    ('{ANA}', 'win_back', 'e184a027defda77d', 'ana', '2026-03-01', '2026-03-31', 3, '2026-03-09',
        'active', NULL, NULL, NULL, NULL, 2, NULL),
    ('{RUI}', 'win_back', 'e184a027defda77d', 'rui', '2026-03-01', '2026-03-31', 1, '2026-03-02',
        'active', 'global', 'no_consent', NULL, NULL, 1, NULL),
    ('{ZOE}', 'gone', '0000a027defda77d', 'zoe', '2026-03-01', '2026-03-31', 1, '2026-03-02',
        'goal', NULL, NULL, '2026-03-02', '2026-03-01 12:00:00', 1, NULL);
INSERT INTO decisions VALUES
    ('x1', '{"2" * 64}', '2026-03-02', '{ANA}', 'ana', 'win_back', 'e184a027defda77d', 'first',
        'send', [], NULL, 2),
    ('x2', '{"2" * 64}', '2026-03-02', '{RUI}', 'rui', 'win_back', 'e184a027defda77d', 'first',
        'suppressed', ['no_consent', 'bounced'], NULL, 2);
INSERT INTO outbox VALUES ('k1', 'ana', 'x-ana', 'ana@example.com', NULL, 'win_back',
    'e184a027defda77d', '{ANA}', 'first', 'email', 'offers', 't_first', '2026-03-02',
    '2026-03-31', 2);
"""


@pytest.fixture
def first_version(path):
    """Return the path of a file as the first version wrote it."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(VERSION_1 + ROWS)
    return path


def read(journey):
    return Journey.model_validate_json(journey)


def test_everybodys_journey_goes_on_where_it_was(first_version):
    with StateStore.open(first_version) as store:
        state = store.load()
        rows = {row["contact_id"]: row for row in state.enrolments.to_pylist()}
    assert {who: (row["position"], row["status"]) for who, row in rows.items()} == {
        "ana": (3, "active"),
        "rui": (1, "active"),
        "zoe": (1, "goal"),
    }
    assert rows["ana"]["version"] == read(JOURNEY).version
    assert rows["ana"]["enrolment_id"] == ANA[:32]
    assert rows["ana"]["arrived_at"] == datetime(2026, 3, 2)  # noqa: DTZ001
    assert rows["ana"]["due_at"] == datetime(2026, 3, 9)  # noqa: DTZ001
    assert (rows["rui"]["held_for"], rows["rui"]["holdout"]) == ("no_consent", "global")
    assert state.last_tick_id == "2" * 64
    assert state.members["contact_id"].to_pylist() == ["ana"]
    assert set(state.versions) == {read(JOURNEY).version, read(GONE).version}
    assert [row["contact_id"] for row in state.passes.to_pylist()] == ["zoe", "ana", "rui"]


def test_what_was_in_force_is_approved_by_the_upgrade(first_version):
    with StateStore.open(first_version) as store:
        (release,) = store.releases().values()
    assert (release.journey, release.version) == ("win_back", read(JOURNEY).version)
    assert (release.status, release.by) == ("approved", "upgrade")
    assert release.at == datetime(2026, 3, 2, tzinfo=UTC)


def test_what_was_handed_over_is_not_handed_over_again(first_version, hand):
    with StateStore.open(first_version) as store:
        assert len(store.claim("mailer", now=hand.when(5), limit=9)) == 0
        (sent,) = store.load().sent.to_pylist()
    assert (sent["idempotency_key"], sent["kind"], sent["status"]) == ("k1", "message", "sent")


def test_ticks_of_the_first_version_can_be_told_again(first_version):
    with StateStore.open(first_version) as store:
        first, second = (store.decisions_of(name * 64) for name in "12")
    assert (first.previous, second.previous) == (None, "1" * 64)
    assert list(first.versions) == sorted([read(JOURNEY).version, read(GONE).version])
    assert [one.journey for one in second.playbook.journeys] == ["win_back"]
    told = {row["contact_id"]: row["reasons"] for row in second.decisions.to_pylist()}
    assert told == {"ana": [], "rui": ["no_consent", "bounced"]}
    assert len(first.memberships) == 2
    assert second.changes["change"].to_pylist() == ["left"]
    assert second.skipped["segment"].to_pylist() == ["vip"]
    (sent,) = second.outbox.to_pylist()
    assert (sent["contact_id"], sent["priority"], sent["legal_basis"]) == ("ana", 50, "consent")


def test_an_upgraded_file_takes_the_next_tick(first_version, hand):
    with StateStore.open(first_version) as store:
        state = store.load()
        members = state.members.to_pylist()
        decided = hand.made(5, memberships=members, enrolments=state.enrolments.to_pylist())
        decided = replace(decided, previous=state.last_tick_id)
        assert store.commit(decided) is True
        assert hand.same_state(store.load(), state.after(decided))


class Dying(Database):
    """A file whose statements fail from a certain one on."""

    left = 10**9

    def run(self, statement, **values):
        Dying.left -= 1
        if Dying.left == 0:
            raise duckdb.IOException("IO Error: no space left on the disk")
        return super().run(statement, **values)


def test_an_upgrade_that_fails_leaves_the_file_of_the_first_version(first_version):
    for left in range(3, 200):
        database = Dying(first_version)
        Dying.left = left
        try:
            prepare(database)
        except RunError:
            Dying.left = 10**9
            assert database.rows("SELECT schema_version FROM meta") == [(1,)]
            assert database.number("SELECT count(*) FROM enrolments") == 4
            database.close()
        else:
            break
    Dying.left = 10**9
    assert left > 40
    assert database.rows("SELECT schema_version FROM meta") == [(SCHEMA_VERSION,)]
    database.close()
    with StateStore.open(first_version) as store:
        assert len(store.load().enrolments) == 3


def test_a_journey_that_cannot_be_read_any_more_stops_the_upgrade(first_version):
    with duckdb.connect(str(first_version)) as connection:
        connection.execute("""UPDATE journeys SET definition = '{"journey":"win_back"}'""")
    with pytest.raises(ConfigurationError, match="holds a journey that cannot be read"):
        StateStore.open(first_version)
    with duckdb.connect(str(first_version)) as connection:
        assert connection.execute("SELECT schema_version FROM meta").fetchall() == [(1,)]
