"""Golden values for the trainer: a LoRA run of PyTorch and PEFT on a tiny random Llama.

    python make.py            the model and the run: model/, run.json, trained/
    python make.py exported   the logits that peft computes with ../../tests/golden/exported,
                              which `UPDATE_GOLDEN=1 cargo test -p openledger-trainer --test golden`
                              writes: exported/logits.json

Needs torch, transformers, peft, tokenizers and safetensors. The results are checked in, so that
neither the tests nor anybody who runs them needs Python.

The random streams (initial LoRA weights, order of the examples) are written here a second time,
from the documentation in src/random.rs and src/order.rs; nothing is copied from a Rust run.
"""

import hashlib
import json
import math
import random
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, get_cosine_schedule_with_warmup

HERE = Path(__file__).parent
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPEC = {
    "version": 1,
    "rank": 4,
    "alpha": 8.0,
    "use_rslora": True,
    "target_modules": MODULES,
    "learning_rate": 5e-3,
    "weight_decay": 0.1,
    "warmup_ratio": 0.25,
    "length": {"max_steps": 12},
    "batch_size": 3,
    "max_tokens": 32,
    "gradient_clip_norm": 0.5,
    "seed": 42,
}
WORD = (1 << 64) - 1


class Stream:
    """src/random.rs"""

    def __init__(self, purpose, seed, index):
        key = b"openledger/trainer/1/" + purpose.encode() + b"\0"
        key += seed.to_bytes(8, "little") + index.to_bytes(8, "little")
        digest = hashlib.blake2b(key, digest_size=32).digest()
        self.state = int.from_bytes(digest[:8], "little")

    def next_word(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & WORD
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
        return z ^ (z >> 31)

    def below(self, bound):
        while True:
            product = self.next_word() * bound
            if product & WORD >= (1 << 64) % bound:
                return product >> 64

    def symmetric(self, bound):
        return (2.0 * ((self.next_word() >> 40) / (1 << 24)) - 1.0) * bound

    def shuffle(self, items):
        for last in range(len(items) - 1, 0, -1):
            chosen = self.below(last + 1)
            items[last], items[chosen] = items[chosen], items[last]


def batches(seed, examples, batch_size, steps):
    """src/order.rs"""
    row, epoch = [], 0
    while len(row) < batch_size * steps:
        order = list(range(examples))
        Stream("data-order", seed, epoch).shuffle(order)
        row, epoch = row + order, epoch + 1
    return [row[step * batch_size : (step + 1) * batch_size] for step in range(steps)]


def make_model(directory):
    directory.mkdir(exist_ok=True)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=264, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
        initializer_range=0.15, rms_norm_eps=1e-5, tie_word_embeddings=True,
        bos_token_id=257, eos_token_id=258, pad_token_id=256,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "bos_token": SPECIAL[1], "eos_token": SPECIAL[2], "pad_token": SPECIAL[0],
        "chat_template": TEMPLATE, "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")


def load_model(directory):
    return LlamaForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager"
    )


def collate(examples):
    length = max(len(example["tokens"]) for example in examples)
    tokens, labels, mask = [], [], []
    for example in examples:
        ids, start = example["tokens"], example["completion_start"]
        padding = length - len(ids)
        tokens.append(ids + [0] * padding)
        labels.append([-100] * start + ids[start:] + [-100] * padding)
        mask.append([1] * len(ids) + [0] * padding)
    return {
        "input_ids": torch.tensor(tokens),
        "labels": torch.tensor(labels),
        "attention_mask": torch.tensor(mask),
    }


def loss_sum(model, examples):
    """Sum of the loss over completion tokens, and their number."""
    batch = collate(examples)
    labels = batch.pop("labels")[:, 1:]
    logits = model(**batch).logits[:, :-1]
    total = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), reduction="sum"
    )
    return total, int((labels != -100).sum())


def measure(model, examples):
    with torch.no_grad():
        total, count = loss_sum(model, examples)
    return float(total) / count


def make_examples(count, seed):
    source = random.Random(seed)
    examples = []
    for _ in range(count):
        length = source.randrange(6, 24)
        start = source.randrange(1, length - 2)
        tokens = [source.randrange(0, 259) for _ in range(length)]
        examples.append({"tokens": tokens, "completion_start": start})
    return examples


def make_run():
    training, heldout = make_examples(7, 11), make_examples(3, 12)
    model = get_peft_model(
        load_model(HERE / "model"),
        LoraConfig(
            r=SPEC["rank"], lora_alpha=SPEC["alpha"], use_rslora=SPEC["use_rslora"],
            target_modules=MODULES, lora_dropout=0.0, bias="none",
        ),
    )
    index = 0
    for layer in model.base_model.model.model.layers:
        for name in MODULES:
            block = layer.self_attn if hasattr(layer.self_attn, name) else layer.mlp
            matrix = getattr(block, name).lora_A["default"].weight
            rank, width = matrix.shape
            stream = Stream("lora-init", SPEC["seed"], index)
            bound = 1.0 / math.sqrt(width)
            values = [stream.symmetric(bound) for _ in range(width * rank)]
            matrix.data = torch.tensor(values).reshape(width, rank).T.contiguous()
            index += 1
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        trained, lr=SPEC["learning_rate"], betas=(0.9, 0.999), eps=1e-8,
        weight_decay=SPEC["weight_decay"],
    )
    steps = SPEC["length"]["max_steps"]
    warmup = math.ceil(steps * SPEC["warmup_ratio"])
    schedule = get_cosine_schedule_with_warmup(optimiser, warmup, steps + 1)
    optimiser.step()  # Nothing yet: no gradients. Keeps the scheduler from complaining.
    schedule.step()
    before = measure(model, heldout)
    log = []
    for batch in batches(SPEC["seed"], len(training), SPEC["batch_size"], steps):
        total, count = loss_sum(model, [training[i] for i in batch])
        loss = total / count
        optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, SPEC["gradient_clip_norm"])
        rate = optimiser.param_groups[0]["lr"]
        optimiser.step()
        schedule.step()
        log.append(
            {"batch": batch, "loss": loss.item(), "tokens": count, "grad_norm": norm.item(),
             "learning_rate": rate}
        )
    run = {
        "spec": SPEC, "training": training, "heldout": heldout, "steps": log,
        "heldout_before": before, "heldout_after": measure(model, heldout),
    }
    (HERE / "run.json").write_text(json.dumps(run, indent=None, separators=(",", ":")) + "\n")
    model.peft_config["default"].base_model_name_or_path = "tiny"  # Not a path of this machine.
    model.save_pretrained(HERE / "trained")
    (HERE / "trained" / "README.md").unlink(missing_ok=True)
    for step in log:
        print(step)
    print("held-out", run["heldout_before"], run["heldout_after"])


def measure_exported():
    """peft's logits with the adapter that the Rust trainer exported."""
    model = PeftModel.from_pretrained(load_model(HERE / "model"), HERE / "exported")
    model.eval()
    prompts = [[257, 10, 20, 30, 40, 258], list(range(100, 116))]
    result = []
    with torch.no_grad():
        for tokens in prompts:
            logits = model(input_ids=torch.tensor([tokens])).logits[0]
            base = model.get_base_model()
            with model.disable_adapter():
                moved = (logits - base(input_ids=torch.tensor([tokens])).logits[0]).abs().max()
            print(f"the adapter moves logits by up to {float(moved):.3f}")
            rows = [[round(x, 6) for x in row] for row in logits[-2:].tolist()]
            result.append({"tokens": tokens, "last_rows": rows})
    path = HERE / "exported" / "logits.json"
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] == ["exported"]:
        measure_exported()
    else:
        make_model(HERE / "model")
        make_run()
