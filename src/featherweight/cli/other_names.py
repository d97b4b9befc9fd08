"""What other tools call the commands and options of the command line, for messages."""

from __future__ import annotations

from featherweight.recipe.foreign_keys import WITHOUT_A_KEY

COMMANDS = {
    "train FILE": ("fit", "finetune", "fine_tune", "learn", "sft", "run"),
    "train RECIPE --out RUN --resume": ("resume", "continue"),
    "new FILE -o RECIPE.toml": ("init", "create", "config"),
    "check FILE": ("inspect", "describe", "stats", "lint", "validate"),
    "weigh RECIPE": ("count", "params", "parameters", "size"),
    "evaluate RUN --data FILE": ("eval", "test", "score", "metrics"),
    "predict RUN FILE -o OUT": ("classify", "infer", "inference", "pred"),
    "export RUN --to merged": ("merge", "convert", "save"),
    "export RUN --to onnx": ("onnx",),
    "export RUN --to onnx-int8": ("quantize", "quantise", "compress", "optimize"),
    "serve RUN": ("api", "deploy", "server", "web", "ui"),
    "push RUN USER/NAME": ("upload", "publish", "share"),
    "search FILE": ("tune", "sweep", "hpo", "hyperopt", "optuna", "optimise"),
    "rounds RECIPE RECIPE": ("benchmark", "experiment"),
    "soup RUN RUN": ("average", "ensemble"),
    "noise FILE": ("clean", "cleanlab", "audit", "dedup", "deduplicate"),
    "adapt FILE": ("pretrain", "mlm", "tapt", "dapt"),
    "report RUN": ("show", "view", "plot", "plots", "summary"),
    "recipes": ("list", "ls", "models"),
    "doctor": ("env", "environment", "info", "diagnose", "setup"),
    "cache --clear": ("clear", "prune"),
    "--version": ("version",),
    "--help": ("help",),
}
"""Commands, and their names in other tools."""
FOR_A_KEY = {
    "data.text": "--text",
    "data.label": "--label",
    "data.test": "--test",
    "data.max_length": "--max-length",
    "backbone.name": "--backbone",
    "training.learning_rate": "--lr",
    "training.epochs": "--epochs",
    "training.batch_size": "--batch-size",
}
"""Recipe keys that are options of their own, in some commands."""
OUT = ("output", "out_file", "output_file", "output_path", "output_dir", "out_dir", "save_to", "dest")
SAME_OPTION = {
    "--out": OUT,
    "--to": ("format", "target", "type", "as"),
    "--host": ("bind", "address", "ip", "hostname", "listen"),
    "--texts": ("unlabeled", "unlabelled", "corpus", "further", "unsupervised"),
    "--data": ("test", "test_file", "input", "input_file", "file", "dataset"),
    "--id": ("id_column", "id_col", "key", "index", "index_col"),
    "--force": ("overwrite", "replace", "yes"),
    "--from": ("resume_from", "init_from", "checkpoint", "start_from"),
    "--batch-tokens": ("batch_size", "max_batch_size", "batch"),
    "--threads": ("num_threads", "n_threads", "n_jobs", "workers", "num_workers"),
    "--no-auth": ("public", "insecure"),
    "--folds": ("cv", "k", "n_splits", "num_folds", "k_fold", "kfold"),
    "--trials": ("n_trials", "num_trials", "max_trials"),
    "--workers": ("n_jobs", "num_workers", "jobs"),
    "--seeds": ("num_seeds", "n_seeds", "repeats", "repetitions"),
    "--labels": ("classes", "num_classes", "n_classes", "num_labels", "class_names", "label_names"),
    "--drop-empty": ("dropna", "drop_na", "skip_empty", "ignore_empty"),
    "--dry-run": ("dryrun", "simulate"),
}
"""Options, and their names in other tools."""
DATA = ("data", "train", "train_file", "train_data", "input", "input_file", "file", "dataset", "recipe", "config")
"""Names that other tools give to the file, which here has no option: it follows the command."""
RUN = ("model", "model_name", "model_path", "model_dir", "model_name_or_path", "checkpoint", "run")
"""Names that other tools give to the trained model: here it is the run, which follows the command."""
_FILE = ("data", "input", "input_file", "file", "dataset", "test")
_ACCESS = ("token", "api_key", "auth_token", "api_token", "auth", "hf_token", "hub_token")
_SCORES = ("top_k", "topk", "proba", "predict_proba", "probabilities", "probs", "scores", "return_all_scores")
_OF_A_FILE = "to label a file: featherweight predict RUN FILE -o OUT"
OF_COMMANDS = {
    "predict": {
        **dict.fromkeys(_SCORES, "the output has the probability of each class in any case"),
        **dict.fromkeys(
            ("json", "jsonl", "csv", "parquet"),
            "the ending of --out chooses the format: -o FILE.jsonl, or -o - to print JSON Lines",
        ),
    },
    "serve": {
        **dict.fromkeys(_FILE, f"the server gets texts over HTTP; {_OF_A_FILE}"),
        **dict.fromkeys((*OUT, "out"), f"the server writes no file; {_OF_A_FILE}"),
        **dict.fromkeys(
            SAME_OPTION["--to"],
            "answers are JSON; to serve an export, make it first: featherweight export RUN --to ...",
        ),
        **dict.fromkeys(_ACCESS, "write the token to a file: --token-file FILE; or set FEATHERWEIGHT_TOKEN"),
        **dict.fromkeys(("workers", "num_workers"), "one process uses several cores: --threads N"),
        **dict.fromkeys(("ssl_keyfile", "ssl_certfile", "tls"), "put a proxy with TLS in front of the server"),
    },
    "export": {
        **dict.fromkeys(_FILE, "to evaluate an export on other rows: featherweight evaluate EXPORT --data FILE"),
        **dict.fromkeys(("quantize", "quantise", "int8"), "here it is --to onnx-int8 or --to openvino-int8"),
        **dict.fromkeys(("merged", "onnx", "openvino"), "the target follows --to"),
        **dict.fromkeys(("transformers", "pytorch", "torch", "safetensors"), "here it is --to merged"),
    },
    "push": {
        **dict.fromkeys(("repo", "repo_id", "hub_model_id"), "here it follows the run: featherweight push RUN REPO"),
        **dict.fromkeys(_ACCESS, "log in by `hf auth login`, or set HF_TOKEN"),
        **dict.fromkeys(_FILE, "no data is uploaded"),
        "public": "a repository is public unless --private is given",
    },
}
"""What to do instead of an option that a command does not have, by command and name of the option."""
OF_EVERY_COMMAND = {
    **dict.fromkeys(("device", "no_cuda", "cuda", "gpu", "cpu"), WITHOUT_A_KEY["device"]),
    **dict.fromkeys(("num_workers", "threads"), WITHOUT_A_KEY["num_workers"]),
    **dict.fromkeys(("verbose", "traceback", "log_level"), "for the traceback of an error: featherweight --debug ..."),
}
OF_A_FINISHED_RUN = {
    "batch_size": "batches are chosen by the lengths of the texts",
    "format": "the ending of the file chooses the format, such as --out predictions.csv",
}
