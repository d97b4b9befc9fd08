"""Translates keys of other tools (Trainer, PEFT, AutoTrain, Ludwig, scikit-learn) into recipe keys, for messages."""

from __future__ import annotations

FOREIGN_KEYS = {
    "data.train": ("train_file", "train_path", "train_data", "training_data", "dataset", "dataset_name"),
    "data.test": ("test_file", "test_path", "test_data", "test_split"),
    "data.validation": (
        "dev", "eval", "val", "valid", "validation_file", "validation_data", "eval_dataset", "valid_split",
    ),
    "data.validation_size": (
        "test_size", "val_size", "dev_size", "eval_size", "validation_split", "validation_fraction", "validation_ratio",
    ),
    "data.text": ("text_column", "text_columns", "text_col", "sentence", "content", "input", "features", "text_field"),
    "data.label": ("label_column", "label_col", "target", "target_column", "output", "label_field", "category", "y"),
    "data.labels": ("label_names", "class_names", "classes", "target_names", "num_labels", "id2label"),
    "data.max_length": ("max_seq_length", "max_seq_len", "max_len", "sequence_length", "block_size", "maxlen"),
    "data.separator": ("sep", "delimiter"),
    "data.long": ("truncation_side", "truncation", "stride", "doc_stride"),
    "data.train_rows": ("max_train_samples", "num_samples", "sample_size", "subset"),
    "backbone.name": ("model", "model_name", "model_name_or_path", "base_model", "encoder", "pretrained", "checkpoint"),
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

WITHOUT_A_KEY = {
    "output_dir": "the run folder is an option: --out FOLDER",
    "out": "the run folder is an option: --out FOLDER",
    "logging_steps": "every step is in history.jsonl",
    "optim": "the optimizer is AdamW",
    "optimizer": "the optimizer is AdamW",
    "device": "the device is chosen by itself; CUDA_VISIBLE_DEVICES= keeps a run off the GPU",
    "no_cuda": "the device is chosen by itself; CUDA_VISIBLE_DEVICES= keeps a run off the GPU",
    "num_workers": "the number of threads is OMP_NUM_THREADS",
    "dataloader_num_workers": "the number of threads is OMP_NUM_THREADS",
    "gradient_checkpointing": "batch_tokens bounds the memory of a step",
    "push_to_hub": "nothing is uploaded",
}
"""Names of other tools without a recipe key, each with an explanation."""


def key_for(foreign: str) -> str | None:
    """The recipe key, such as ``training.epochs``, that other tools call ``foreign``; None if the name is unknown."""
    name = foreign.lower().replace("-", "_")
    return next((key for key, names in FOREIGN_KEYS.items() if name in names), None)
