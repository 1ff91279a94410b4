"""The list of mutants belongs to the package as it is; ``make mutants`` tries them."""

from tests.reliability.mutants import ROOT, read_mutants

MUTANTS = read_mutants()


def test_every_mutant_changes_one_place_of_its_file():
    files = {name: (ROOT / "skdim" / name).read_text(encoding="utf-8") for name, *_ in MUTANTS}
    amiss = [each.old for each in MUTANTS if files[each.file].count(each.old) != 1]

    assert amiss == []
    assert [each.old for each in MUTANTS if each.old == each.new] == []
    assert len(set(MUTANTS)) == len(MUTANTS) >= 250


def test_the_tests_of_every_mutant_exist():
    named = {name for each in MUTANTS for name in each.tests.split()}

    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
