"""The faults that `planted_faults.py` plants: small mistakes that a tired engineer could make.

Each replaces a text that occurs exactly once in its file. When a change moves or rewrites that text, update `file` and
`before` so that the fault stays the same mistake.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A mistake in one place of the code.

    Args:
        name: identifier that names the effect.
        file: path of the file in the tree.
        before: text that occurs exactly once in it.
        after: text in its place.
        tests: paths or patterns of tests: first those likeliest to fail, then those of the package.
    """

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


FEATURES, MODELS, OPTIMIZERS, METRICS = "tests/features", "tests/models", "tests/optimizers", "tests/ctr/metrics"
EVALUATION, COMPARISON = "tests/ctr/evaluation", "tests/ctr/comparison"
RUNS = "tests/ctr/test_*.py"
"""Tests of whole runs, for faults in `ctr/config`, `ctr/runs` and `ctr/training`."""

FAULTS = (
    Fault(
        "every_epoch_shuffles_alike",
        "features/reader.py",
        "np.random.default_rng([self.seed, 3, epoch, number])",
        "np.random.default_rng([self.seed, 3, number])",
        (f"{FEATURES}/test_reader.py", FEATURES),
    ),
    Fault(
        "resume_skips_rows_of_every_window",
        "features/reader.py",
        "            skip = 0\n",
        "",
        (f"{FEATURES}/test_reader.py", FEATURES),
    ),
    Fault(
        "random_split_loses_its_seed",
        "features/splits.py",
        "np.random.default_rng([seed, 1, number])",
        "np.random.default_rng([1, number])",
        (f"{FEATURES}/test_source.py", FEATURES),
    ),
    Fault(
        "min_count_is_exclusive",
        "features/fits/vocabulary.py",
        'pc.greater_equal(counted["count"], self.settings.min_count)',
        'pc.greater(counted["count"], self.settings.min_count)',
        (f"{FEATURES}/test_statistics.py", FEATURES),
    ),
    Fault(
        "null_time_is_midnight",
        "features/kinds/date_part.py",
        "return pa.array(ids, mask=column.is_null().to_numpy(zero_copy_only=False))",
        "return pa.array(ids)",
        (f"{FEATURES}/test_encoder.py", FEATURES),
    ),
    Fault(
        "moments_merge_without_the_distance_of_the_means",
        "features/fits/moments.py",
        "self.squares + (other.squares + delta**2 * self.count * other.count / total)",
        "self.squares + other.squares",
        (f"{FEATURES}/test_statistics.py", FEATURES),
    ),
    Fault(
        "unseen_ids_keep_their_rows",
        "features/encoder.py",
        "np.where(seen[rows], rows, np.int32(OUT_OF_VOCABULARY))",
        "np.where(seen[rows], rows, rows)",
        (f"{FEATURES}/test_seen.py", FEATURES),
    ),
    Fault(
        "cross_sees_nulls_of_its_last_part_only",
        "features/hashing.py",
        "is_null = is_null | part.is_null().to_numpy(zero_copy_only=False)",
        "is_null = part.is_null().to_numpy(zero_copy_only=False)",
        (f"{FEATURES}/test_crosses.py", FEATURES),
    ),
    Fault(
        "dropout_ignores_the_step",
        "models/blocks.py",
        "seed = tf.stack([self.layer_seed + replica * 2**31, tf.cast(step, tf.int64)])",
        "seed = tf.stack([tf.constant(self.layer_seed, tf.int64), replica])",
        (f"{MODELS}/test_blocks.py", MODELS),
    ),
    Fault(
        "pairs_count_each_field_with_itself",
        "models/fm.py",
        " - tf.reduce_sum(tf.square(v), axis=1), axis=1) / 2",
        ", axis=1) / 2",
        (f"{MODELS}/test_fm.py", MODELS),
    ),
    Fault(
        "deepfm_loses_its_first_order",
        "models/deepfm.py",
        "return self.first_order(numbers, wide) + self.pairs(vectors) + deep",
        "return self.pairs(vectors) + deep",
        (f"{MODELS}/test_deepfm.py", MODELS),
    ),
    Fault(
        "a_cross_of_a_sequence_takes_its_own_pooling",
        "models/wide.py",
        "{**of_x0, **of_crosses}",
        "{**of_crosses, **of_x0}",
        (f"{MODELS}/test_linear.py", MODELS),
    ),
    Fault(
        "softmax_counts_padding",
        "models/din.py",
        "tf.nn.softmax(tf.where(mask > 0, scores, scores.dtype.min))",
        "tf.nn.softmax(scores)",
        (f"{MODELS}/test_din.py", MODELS),
    ),
    Fault(
        "micro_mlp_kernel_has_its_axes_swapped",
        "models/can.py",
        "h = tf.matmul(h, tf.reshape(kernel, [-1, fan_in, fan_out]))",
        "h = tf.matmul(h, tf.reshape(kernel, [-1, fan_out, fan_in]), transpose_b=True)",
        (f"{MODELS}/test_can.py", MODELS),
    ),
    Fault(
        "the_gate_of_a_cross_layer_reads_x0",
        "models/gdcn.py",
        "self.gate(x)",
        "self.gate(x0)",
        (f"{MODELS}/test_gdcn.py", MODELS),
    ),
    Fault(
        "dlrm_leaves_the_numbers_out_of_the_pairs",
        "models/dlrm.py",
        "vectors = tf.concat([vectors, parts[0][:, None]], axis=1)",
        "vectors = vectors + 0 * parts[0][:, None]",
        (f"{MODELS}/test_dlrm.py", MODELS),
    ),
    Fault(
        "attention_sums_to_1_over_the_fields_that_read",
        "models/auto_int.py",
        'tf.nn.softmax(tf.einsum("bihd,bjhd->bhij", q, k) * self.scale)',
        'tf.nn.softmax(tf.einsum("bihd,bjhd->bhij", q, k) * self.scale, axis=-2)',
        (f"{MODELS}/test_auto_int.py", MODELS),
    ),
    Fault(
        "both_mlps_have_the_first_gate",
        "models/final_mlp.py",
        "zip(self.deep, inputs, strict=True)",
        "zip(self.deep, [inputs[0]] * 2, strict=True)",
        (f"{MODELS}/test_final_mlp.py", MODELS),
    ),
    Fault(
        "the_score_that_teaches_blocks_has_a_gradient",
        "models/final_net.py",
        "score = tf.stop_gradient(tf.sigmoid(logit))",
        "score = tf.sigmoid(logit)",
        (f"{MODELS}/test_final_net.py", MODELS),
    ),
    Fault(
        "the_factor_of_a_networks_loss_is_constant",
        "models/fcn.py",
        "tf.nn.relu(batch_mean(losses, weight) - batch_mean(of_model, weight))",
        "tf.stop_gradient(tf.nn.relu(batch_mean(losses, weight) - batch_mean(of_model, weight)))",
        (f"{MODELS}/test_fcn.py", MODELS),
    ),
    Fault(
        "linear_layers_multiply_their_own_input",
        "models/fcn.py",
        'x if name == "exponential" else first, x',
        "x, x",
        (f"{MODELS}/test_fcn.py", MODELS),
    ),
    Fault(
        "quadratic_heads_hold_whole_fields",
        "models/qnn.py",
        "tf.transpose(chunks, [0, 2, 1, 3])",
        "chunks",
        (f"{MODELS}/test_qnn.py", MODELS),
    ),
    Fault(
        "streams_look_at_each_others_examples",
        "models/two_stream.py",
        'factor = self._focus + t if name == "easy"',
        'factor = self._focus + t if name == "hard"',
        (f"{MODELS}/test_two_stream.py", MODELS),
    ),
    Fault(
        "both_passes_of_self_ensemble_have_the_same_masks",
        "models/self_ensemble.py",
        "step + number * STEPS_APART if number else step",
        "step",
        (f"{MODELS}/test_self_ensemble.py", MODELS),
    ),
    Fault(
        "the_mean_of_self_ensemble_learns_from_its_passes",
        "models/self_ensemble.py",
        "tf.stop_gradient(mean_probability(signed))",
        "mean_probability(signed)",
        (f"{MODELS}/test_self_ensemble.py", MODELS),
    ),
    Fault(
        "columns_come_in_the_order_of_the_batch",
        "models/tables.py",
        "tf.constant(columns, tf.int32), axis=1)",
        "tf.constant(sorted(columns), tf.int32), axis=1)",
        (f"{MODELS}/test_tables.py", MODELS),
    ),
    Fault(
        "special_rows_of_the_first_fused_table_only",
        "models/tables.py",
        "rows[offset : offset + SPECIAL_ROWS] = 0",
        "rows[:SPECIAL_ROWS] = 0",
        (f"{MODELS}/test_tables.py", MODELS),
    ),
    Fault(
        "dropout_repeats_numbers_after_the_counter_carries",
        "models/dropout_mask.py",
        "high = counter[1] + tf.cast(low < counter[0], tf.uint64)",
        "high = counter[1] + tf.zeros_like(low)",
        (f"{MODELS}/test_dropout_mask.py", MODELS),
    ),
    Fault(
        "weight_decay_of_all_rows",
        "optimizers/base.py",
        "super().__init__(name=name, weight_decay=None, jit_compile=False)",
        "super().__init__(name=name, weight_decay=weight_decay or None, jit_compile=False)",
        (f"{OPTIMIZERS}/test_row_optimizers.py", OPTIMIZERS),
    ),
    Fault(
        "ftrl_explains_a_start_with_the_wrong_sign_of_l1",
        "optimizers/ftrl.py",
        "return rows + tf.sign(rows) * (self.penalty_rate * self.l1)",
        "return rows - tf.sign(rows) * (self.penalty_rate * self.l1)",
        (f"{OPTIMIZERS}/test_ftrl.py", OPTIMIZERS),
    ),
    Fault(
        "bias_correction_is_one_step_ahead",
        "optimizers/group_adam.py",
        "self._curvature(new_velocity, new_steps)",
        "self._curvature(new_velocity, new_steps + 1)",
        (f"{OPTIMIZERS}/test_group_adam.py", OPTIMIZERS),
    ),
    Fault(
        "adagrad_bound_counts_the_start_twice",
        "optimizers/adagrad.py",
        "tf.minimum(growth, self.max_accumulator - self.initial_accumulator)",
        "tf.minimum(growth, self.max_accumulator)",
        (f"{OPTIMIZERS}/test_adagrad.py", OPTIMIZERS),
    ),
    Fault(
        "checkpoint_loses_the_start_of_a_schedule",
        "optimizers/router.py",
        "[(rate.factor, rate.start) for rate in rates if isinstance(rate, Adjustable)]",
        "[rate.factor for rate in rates if isinstance(rate, Adjustable)]",
        (f"{OPTIMIZERS}/test_schedules.py", OPTIMIZERS),
    ),
    Fault(
        "gauc_ignores_weights",
        "ctr/metrics/groups.py",
        "auc, weight, exponent = groups.auc[has_auc], groups.weight[has_auc], groups.exponent[has_auc]",
        "auc, weight, exponent = groups.auc[has_auc], groups.rows[has_auc], groups.exponent[has_auc]",
        (f"{METRICS}/test_groups.py", METRICS),
    ),
    Fault(
        "merge_drops_binned_counts",
        "ctr/metrics/binary.py",
        "[state._binned for state in (self, other) if state._binned is not None]",
        "[state._binned for state in (self,) if state._binned is not None]",
        (f"{METRICS}/test_binary.py", METRICS),
    ),
    Fault(
        "counts_are_stale_after_an_update",
        "ctr/metrics/binary.py",
        "        self._counts = None\n",
        "",
        (f"{METRICS}/test_binary.py", METRICS),
    ),
    Fault(
        "adjusted_p_values_are_not_monotone",
        "ctr/metrics/seeds.py",
        "highest = max(highest, min(1.0, (len(known) - rank) * p))",
        "highest = min(1.0, (len(known) - rank) * p)",
        (f"{METRICS}/test_over_seeds.py", METRICS),
    ),
    Fault(
        "check_holds_with_an_interval_below_the_margin",
        "ctr/checks/significance.py",
        'return "holds" if -margin <= interval[0] and interval[1] <= margin else "too few"',
        'return "holds" if interval[1] <= margin else "too few"',
        (f"{EVALUATION}/test_checks.py", EVALUATION),
    ),
    Fault(
        "merge_forgets_that_a_timeline_is_too_long",
        "ctr/evaluation/timeline.py",
        "self.is_too_long or other.is_too_long,",
        "self.is_too_long,",
        (f"{EVALUATION}/test_timeline.py", EVALUATION),
    ),
    Fault(
        "values_of_a_list_count_as_rows",
        "ctr/evaluation/histograms.py",
        "return (weight / np.maximum(np.bincount(self.rows, minlength=len(weight)), 1))[self.rows]",
        "return weight[self.rows]",
        (f"{EVALUATION}/test_histograms.py", EVALUATION),
    ),
    Fault(
        "verdict_for_tested_seeds_needs_one_seed",
        "ctr/comparison/baseline_diff.py",
        "is_significant = all(seed_p is not None",
        "is_significant = any(seed_p is not None",
        (f"{COMPARISON}/test_verdicts.py", COMPARISON),
    ),
    Fault(
        "sealed_files_are_not_synced",
        "ctr/runs/checksums.py",
        "        sync(path)\n",
        "",
        ("tests/ctr/test_seals.py", RUNS),
    ),
    Fault(
        "resume_loses_the_mean_loss_of_the_epoch",
        "ctr/training/trainer.py",
        "        if position.batch == 0:\n            self.model.reset_metrics()\n",
        "        self.model.reset_metrics()\n        if position.batch == 0:\n",
        ("tests/ctr/test_resume.py", RUNS),
    ),
    Fault(
        "resume_loses_the_seconds_before_it",
        "ctr/training/trainer.py",
        "Stopwatch(self.position.seconds)",
        "Stopwatch()",
        ("tests/ctr/test_resume.py", RUNS),
    ),
    Fault(
        "patience_is_one_validation_longer",
        "ctr/training/checkpoint.py",
        "self.misses >= settings.patience",
        "self.misses > settings.patience",
        ("tests/ctr/test_trainer.py", RUNS),
    ),
    Fault(
        "config_diff_misses_removed_settings",
        "ctr/config/config_diff.py",
        "for key in {**old, **new}:",
        "for key in new:",
        ("tests/ctr/test_config_diff.py", RUNS),
    ),
)
