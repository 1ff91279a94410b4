"""What trusted libraries are trusted for, row by row, and the tests that say it is so here.

The numbers are those of the project's list of what must hold; groups: saving and going on (45 to
58), numbers and their meaning (59 to 66). What the rows say, in the words of users, is the page
"What skdim promises".
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent

ROWS = {
    "45 every copy gives the same codes and is as large as the weights": [
        "reliability/test_pickles.py::test_every_copy_of_every_transformer_is_the_same",
        "reliability/test_pickles.py::test_a_pickle_is_about_as_large_as_the_weights",
    ],
    "46 fitted on an accelerator, loaded without one, at every schedule": [
        "reliability/test_pickles.py::test_what_was_fitted_on_an_accelerator_comes_back_without_one",
        "reliability/test_pickles.py::test_a_pickle_of_cuda_loads_where_it_is_hidden",
    ],
    "47 skops asks to trust our own types only, in a pipeline too": [
        "reliability/test_pickles.py::test_skops_asks_to_trust_our_own_types_only",
    ],
    "48 save and load, also in a fresh process": [
        "reliability/test_saving.py::test_every_transformer_comes_back_with_its_codes_and_its_score",
        "saving/test_fingerprints.py::test_another_process_has_the_same_digests_and_loads_the_same_codes",
    ],
    "49 a malicious file is refused, and nothing in it executed": [
        "reliability/test_untrusted_files.py::test_a_malicious_pickle_is_not_executed",
        "reliability/test_interruption.py::test_nothing_is_executed",
    ],
    "50 damaged files and those of other programs are refused": [
        "reliability/test_untrusted_files.py::test_a_truncated_file",
        "reliability/test_untrusted_files.py::test_each_flipped_bit_of_the_content",
        "reliability/test_untrusted_files.py::test_files_of_other_programs",
        "reliability/test_untrusted_files.py::test_many_mutations_are_refused_or_harmless",
    ],
    "51 a newer format is refused, an older one loads": [
        "reliability/test_untrusted_files.py::test_a_newer_format_says_so",
        "reliability/test_golden.py::test_a_kept_file_gives_the_codes_that_it_gave",
    ],
    "52 tensors of wrong shapes, missing or beside, are listed": [
        "reliability/test_untrusted_files.py::test_missing_tensors_are_listed",
        "reliability/test_untrusted_files.py::test_tensors_beside_are_listed",
        "reliability/test_untrusted_files.py::test_tensors_of_another_size_or_type_are_listed",
    ],
    "53 a path that cannot be written costs no file that was there": [
        "reliability/test_saving.py::test_a_full_disk_costs_nothing",
        "reliability/test_saving.py::test_folders_are_refused",
        "reliability/test_saving.py::test_a_folder_that_may_only_be_read_is_an_os_error",
    ],
    "54 killed and gone on with, to the same bits": [
        "reliability/test_checkpoints.py::test_a_training_that_goes_on_equals_one_without_a_break",
        "reliability/test_interruption.py::"
        "test_trainings_killed_at_random_points_go_on_to_the_same",
    ],
    "55 killed while a checkpoint is written": [
        "reliability/test_interruption.py::test_what_killed_writers_have_left_is_removed",
        "reliability/test_interruption.py::test_a_full_disk_leaves_the_checkpoint_before_it",
    ],
    "56 changed parameters and data have a checkpoint of their own": [
        "reliability/test_checkpoints.py::test_other_parameters_have_a_folder_of_their_own",
        "reliability/test_checkpoints.py::test_other_data_have_a_folder_of_their_own",
        "reliability/test_checkpoints.py::test_more_epochs_may_be_asked_for_at_a_constant_rate",
    ],
    "57 a second training in a folder is refused": [
        "reliability/test_checkpoints.py::test_a_second_training_in_a_folder_is_refused",
        "reliability/test_interruption.py::test_a_training_in_another_process_holds_the_folder",
    ],
    "58 other versions warn, and both are named": [
        "reliability/test_pickles.py::test_another_version_warns_and_names_both",
    ],
    "59 terms equal a slow reference, gradients finite differences": [
        "objectives/test_objectives.py::test_loss_of_infomax_equals_a_slow_reference_in_numpy",
        "test_bounds.py::test_gradient_is_that_of_finite_differences",
    ],
    "60 transform does not hang on order, cuts, batch size, type or layout": [
        "estimators/test_contract.py::test_transform_follows_the_order_of_the_rows",
        "estimators/test_contract.py::test_transform_does_not_depend_on_how_the_rows_are_cut",
        "estimators/test_contract.py::test_any_type_of_number_is_read_as_float32",
        "estimators/test_contract.py::test_layout_in_memory_does_not_matter",
        "reliability/test_meaning.py::test_transform_does_not_hang_on_the_batch_size",
    ],
    "61 InfoNCE stays below the log of the candidates, and tracks what is known": [
        "test_bounds.py::test_no_critic_gives_info_nce_more_than_information_or_log_of_candidates",
        "information/test_trained_critic.py::test_critic_trained_alone_recovers_the_information",
    ],
    "62 codes are worth more than principal components and random weights": [
        "reliability/test_meaning.py::test_codes_of_digits_beat_components_and_random_weights",
    ],
    "63 score does not hang on the weights of the terms": [
        "estimators/test_score_and_history.py::"
        "test_score_of_the_same_networks_is_the_same_whatever_the_weights",
    ],
    "64 transform changes nothing, and memory stays flat": [
        "estimators/test_contract.py::test_transform_changes_no_statistics",
        "reliability/test_memory_and_processes.py::test_memory_is_flat_over_hundreds_of_transforms",
    ],
    "65 one row, and more rows than memory": [
        "test_inference.py::test_rows_have_the_same_features_alone_and_together",
        "reliability/test_memory_and_processes.py::"
        "test_a_memory_map_larger_than_the_memory_is_transformed",
    ],
    "66 no warning goes unseen": [
        "reliability/test_rows.py::test_warnings_are_errors",
    ],
}


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_its_tests(row):
    for node in ROWS[row]:
        file, name = node.split("::")
        tree = ast.parse((TESTS / file).read_text())
        names = {part.name for part in ast.walk(tree) if isinstance(part, ast.FunctionDef)}
        assert name in names, node


def test_no_row_is_missing():
    assert [int(row.split()[0]) for row in ROWS] == list(range(45, 67))


def test_warnings_are_errors(pytestconfig):
    assert pytestconfig.getini("filterwarnings")[0] == "error"
