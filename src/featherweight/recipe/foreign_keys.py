"""Translates keys of other tools (Trainer, PEFT, AutoTrain, Ludwig, scikit-learn) into recipe keys, for messages."""

from __future__ import annotations

FOREIGN_KEYS = {
    "data.train": (
        "train_file", "train_path", "train_data", "training_data", "dataset", "dataset_name", "file", "path",
        "data_dir",
    ),
    "data.test": ("test_file", "test_path", "test_data", "test_split"),
    "data.validation": (
        "dev", "eval", "val", "valid", "validation_file", "validation_data", "eval_dataset", "valid_split",
    ),
    "data.config": ("dataset_config", "dataset_config_name", "subset", "subset_name"),
    "data.columns": ("header", "column_names", "colnames", "fieldnames"),
    "data.empty": ("dropna", "drop_na", "drop_empty", "skip_empty", "filter_missing"),
    "data.validation_size": (
        "test_size", "val_size", "dev_size", "eval_size", "validation_split", "validation_fraction", "validation_ratio",
        "split", "split_ratio", "val_split",
    ),
    "data.text": ("text_column", "text_columns", "text_col", "sentence", "content", "input", "features", "text_field"),
    "data.label": ("label_column", "label_col", "target", "target_column", "output", "label_field", "category", "y"),
    "data.labels": ("label_names", "class_names", "classes", "target_names", "num_labels", "num_classes", "id2label"),
    "data.max_length": ("max_seq_length", "max_seq_len", "max_len", "sequence_length", "block_size", "maxlen"),
    "data.separator": ("sep", "delimiter"),
    "data.long": ("truncation_side", "truncation", "stride", "doc_stride"),
    "data.train_rows": ("max_train_samples", "num_samples", "sample_size", "limit"),
    "backbone.name": (
        "model", "model_name", "model_name_or_path", "base_model", "encoder", "pretrained", "checkpoint", "path",
    ),
    "adapter.lora.rank": ("r", "lora_r", "lora_rank", "dim"),
    "adapter.lora.alpha": ("lora_alpha", "scaling"),
    "adapter.lora.roles": ("target_modules", "targets", "modules"),
    "adapter.lora.layers": ("layers_to_transform", "num_layers"),
    "adapter.dropout": ("lora_dropout", "dropout_rate", "classifier_dropout"),
    "adapter.rslora": ("use_rslora",),
    "adapter.dora": ("use_dora",),
    "adapter.initialisation": ("init_lora_weights", "initialization", "init"),
    "adapter.head": ("modules_to_save", "classifier", "head_type"),
    "training.epochs": ("num_train_epochs", "num_epochs", "n_epochs", "max_epochs", "nb_epoch"),
    "training.max_steps": ("steps", "num_steps", "total_steps", "iterations", "num_training_steps"),
    "training.batch_size": ("per_device_train_batch_size", "train_batch_size", "bs", "batch"),
    "training.accumulate": ("gradient_accumulation_steps", "grad_accum", "accumulation_steps"),
    "training.learning_rate": ("lr", "base_lr", "max_lr", "body_learning_rate", "peak_lr"),
    "training.lora_plus_ratio": ("loraplus_lr_ratio", "lr_ratio"),
    "training.clip": ("max_grad_norm", "grad_clip", "gradient_clip_val", "clip_grad_norm", "clipping"),
    "training.schedule": ("lr_scheduler_type", "lr_scheduler", "scheduler"),
    "training.warmup": ("warmup_steps", "warmup_ratio", "num_warmup_steps", "warmup_proportion"),
    "training.label_smoothing": ("label_smoothing_factor", "smoothing"),
    "training.class_weights": ("class_weight", "pos_weight"),
    "training.early_stopping": ("patience", "early_stopping_patience", "early_stop"),
    "training.evaluate_every": ("eval_steps", "evaluation_steps", "eval_every", "eval_strategy", "evaluation_strategy"),
    "training.keep": ("load_best_model_at_end", "save_best", "save_best_only"),
    "training.order_seed": ("data_seed",),
    "training.precision": ("fp16", "bf16", "fp32", "dtype", "torch_dtype", "mixed_precision"),
    "training.checkpoint_steps": ("save_steps", "save_every", "save_strategy"),
    "training.trackers": ("report_to", "logger", "loggers", "tracker"),
    "evaluation.best_by": ("metric_for_best_model", "best_metric", "monitor", "metric"),
    "evaluation.shift": ("ood", "out_of_domain"),
    "seed": ("random_state", "random_seed"),
}  # fmt: skip
"""For each recipe key, its names in other tools."""

_DEVICE = "the device is chosen by itself; CUDA_VISIBLE_DEVICES= keeps a run off the GPU"
_THREADS = "the number of threads is OMP_NUM_THREADS"
_OUT = "the run folder is an option: --out FOLDER"
_FP32 = "the weights are never quantized; `featherweight export RUN --to onnx-int8` makes a finished run smaller"
_CASE = "the tokenizer of the backbone decides about upper and lower case"
_LOSS = "the loss is the cross-entropy; class_weights, label_smoothing and r_drop of [training] change it"
WITHOUT_A_KEY = {
    **dict.fromkeys(("output_dir", "output", "out"), _OUT),
    **dict.fromkeys(("logging_steps", "logging_dir", "log_every"), "every step is in history.jsonl"),
    **dict.fromkeys(("optim", "optimizer"), "the optimizer is AdamW"),
    **dict.fromkeys(("device", "no_cuda"), _DEVICE),
    **dict.fromkeys(("num_workers", "dataloader_num_workers"), _THREADS),
    **dict.fromkeys(("load_in_4bit", "load_in_8bit", "quantization", "quantize", "bits"), _FP32),
    **dict.fromkeys(("lowercase", "do_lower_case", "lower"), _CASE),
    **dict.fromkeys(("loss", "loss_fn", "criterion", "loss_type", "focal"), _LOSS),
    **dict.fromkeys(
        ("metrics", "compute_metrics"), "all metrics are always computed; best_by chooses the best adapter"
    ),
    **dict.fromkeys(
        ("type", "peft_type", "method"), "every adapter is a LoRA adapter, with dora = true a DoRA adapter"
    ),
    **dict.fromkeys(("id", "ids", "id_column"), "`predict` has the option --id COLUMN; a training needs no ids"),
    **dict.fromkeys(("shuffle", "shuffle_train"), "the rows are always shuffled; order_seed changes the order"),
    **dict.fromkeys(("stratify", "stratified"), "validation rows are always drawn in proportion to the classes"),
    **dict.fromkeys(("padding", "pad_to_max_length"), "batches of similar length are padded to their longest text"),
    **dict.fromkeys(("trials", "n_trials"), "it is an option of `featherweight search`: --trials N"),
    **dict.fromkeys(
        ("threshold", "thresholds"), "with several labels per text each threshold is tuned on validation rows"
    ),
    **dict.fromkeys(
        ("freeze", "freeze_layers", "unfreeze"),
        "the backbone is always frozen; adapter.lora.layers "
        "chooses the layers that have LoRA matrices, such as upper-half",
    ),
    "eval_batch_size": "batches of an evaluation are chosen by the lengths of the texts",
    "per_device_eval_batch_size": "batches of an evaluation are chosen by the lengths of the texts",
    **dict.fromkeys(
        ("train_size", "train_split", "train_fraction"),
        "data.validation_size is the other part, such as 0.2; data.train_rows is a number of rows",
    ),
    "save_total_limit": "only the last two checkpoints are kept",
    "gradient_checkpointing": "batch_tokens bounds the memory of a step",
    "push_to_hub": "nothing is uploaded; `featherweight push RUN USER/NAME` uploads a finished run",
    "search": "it is a section of a TOML file for `featherweight search`, and no key that --set can change",
}
"""Names of other tools without a recipe key, each with an explanation."""


def key_for(foreign: str, section: str = "") -> str | None:
    """The recipe key, such as ``training.epochs``, that other tools call ``foreign``; None if the name is unknown.

    If several keys have this name in other tools, the one in ``section`` (such as ``backbone``) is preferred.
    """
    name = foreign.lower().replace("-", "_")
    keys = [key for key, names in FOREIGN_KEYS.items() if name in names]
    return next((key for key in keys if key.startswith(f"{section}.")), keys[0] if keys else None)
