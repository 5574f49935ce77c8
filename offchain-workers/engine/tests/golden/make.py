"""Makes the golden values beside this file with transformers and peft.

    python make.py                     tiny models, adapters and what they answer
    python make.py --smollm2 FILE      what SmolLM2-135M-Instruct.Q4_1.gguf answers

Needs torch, transformers, peft, gguf, safetensors. The values that are checked in were made with
torch 2.15.0, transformers 5.23.0, peft 0.21.2, gguf 0.19.0, tokenizers 0.23.3.
"""

import argparse
import json
import math
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import gguf
import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

HERE = Path(__file__).resolve().parent
TINY = HERE / "tiny"
ADAPTERS = HERE / "adapters"
GGUF_NAME = "tiny.gguf"
NEW_TOKENS = 32

CORPUS = [
    "The walls of the house are built of brick and lime, and the roof of clay tiles.",
    "A building permit is asked for before the work begins, in 2024 as in 1999.",
    "The foundation carries the weight of the walls and the roof into the ground.",
]
PROMPTS = ["The foundation of the house", "In 2024, 17 permits", "éa€ roof"]
TEXTS = [
    "",
    " ",
    "The walls of the house",
    "  two spaces,\n\nnew lines\t tabs  ",
    "In 2024 there were 1,234.5 houses",
    "naïve café €100 日本語 🏠🏚️ ﷽",
    "<|im_start|>user\nhi<|im_end|>\n",
    "don't we're I'll it's",
    "\u0000\u0001 control \u007f \u00a0 \u00ad",
]
MESSAGES = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What carries the roof?"},
]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LORA = dict(task_type="CAUSAL_LM", lora_dropout=0.0)
ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTER_CONFIGS = {
    "qv-r4": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
    "all-r8": dict(r=8, lora_alpha=16, target_modules=ALL_LINEAR),
    "patterns": dict(
        r=4,
        lora_alpha=8,
        target_modules=["q_proj", "k_proj", "down_proj"],
        rank_pattern={"layers.1.self_attn.q_proj": 6, "down_proj": 2},
        alpha_pattern={"^model.layers.0.self_attn.k_proj": 3, "k_proj": 12},
    ),
    "rslora-r8": dict(
        r=8,
        lora_alpha=4,
        use_rslora=True,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
    ),
}


def tokenizer():
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        chat_template=CHAT_TEMPLATE,
    )


def random_model(seed, tied):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config)
    # Large enough that attention and every matrix matter; norms that are not all ones.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.copy_(1 + 0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(1.5 * torch.randn_like(parameter) / math.sqrt(parameter.shape[1]))
    return model.eval()


def permute(weight, heads):
    """Row order of q and k in llama.cpp's converter."""
    out, width = weight.shape
    return weight.reshape(heads, 2, out // heads // 2, width).swapaxes(1, 2).reshape(out, width)


def write_gguf(path, model, tok):
    config = model.config
    types = gguf.GGMLQuantizationType
    state = {name: value.float().numpy() for name, value in model.state_dict().items()}
    names = {
        "self_attn.q_proj": ("attn_q", [types.Q4_0, types.F32]),
        "self_attn.k_proj": ("attn_k", [types.Q4_1, types.F16]),
        "self_attn.v_proj": ("attn_v", [types.F16, types.Q8_0]),
        "self_attn.o_proj": ("attn_output", [types.Q8_0, types.Q4_0]),
        "mlp.gate_proj": ("ffn_gate", [types.Q4_0, types.BF16]),
        "mlp.up_proj": ("ffn_up", [types.Q4_1, types.Q8_0]),
        "mlp.down_proj": ("ffn_down", [types.F32, types.Q4_1]),
        "input_layernorm": ("attn_norm", [types.F32, types.F32]),
        "post_attention_layernorm": ("ffn_norm", [types.F32, types.F32]),
    }
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    inner = json.loads(tok.backend_tokenizer.to_str())
    vocabulary = sorted(inner["model"]["vocab"], key=inner["model"]["vocab"].get)
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if i < 3 else 1 for i in range(len(vocabulary))])
    writer.add_token_merges([" ".join(pair) for pair in inner["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHAT_TEMPLATE)

    def add(name, values, kind):
        data = gguf.quants.quantize(np.ascontiguousarray(values), kind)
        writer.add_tensor(name, data, raw_dtype=kind)

    add("token_embd.weight", state["model.embed_tokens.weight"], types.Q8_0)
    add("output_norm.weight", state["model.norm.weight"], types.F32)
    for layer in range(config.num_hidden_layers):
        for name, (short, kinds) in names.items():
            values = state[f"model.layers.{layer}.{name}.weight"]
            if short == "attn_q":
                values = permute(values, config.num_attention_heads)
            if short == "attn_k":
                values = permute(values, config.num_key_value_heads)
            add(f"blk.{layer}.{short}.weight", values, kinds[layer % 2])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_adapters():
    for index, (name, settings) in enumerate(ADAPTER_CONFIGS.items()):
        torch.manual_seed(100 + index)
        base = LlamaForCausalLM.from_pretrained(TINY, dtype=torch.float32)
        model = get_peft_model(base, LoraConfig(**LORA, **settings))
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if "lora_A" in parameter_name:
                    parameter.copy_(torch.randn_like(parameter) / math.sqrt(parameter.shape[1]))
                elif "lora_B" in parameter_name:
                    parameter.copy_(0.3 * torch.randn_like(parameter))
        model.save_pretrained(ADAPTERS / name)
        (ADAPTERS / name / "README.md").unlink(missing_ok=True)
        path = ADAPTERS / name / "adapter_config.json"
        config = json.loads(path.read_text())
        config["base_model_name_or_path"] = "tiny"
        config["target_modules"] = sorted(config["target_modules"])
        path.write_text(json.dumps(config, indent=2) + "\n")


def answers(model, tok, prompts):
    """Logits at all positions and a greedy continuation for each prompt."""
    logits, greedy = [], []
    for prompt in prompts:
        ids = torch.tensor([tok(prompt, add_special_tokens=False)["input_ids"]])
        with torch.no_grad():
            logits.append(model(ids).logits[0].float())
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                pad_token_id=0,
                eos_token_id=2,
            )
        greedy.append(out[0].tolist()[ids.shape[1] :])
    return logits, greedy


def tokenizations(tok):
    result = []
    for text in TEXTS:
        ids = tok(text, add_special_tokens=False)["input_ids"]
        result.append({"text": text, "ids": ids, "decoded": tok.decode(ids, skip_special_tokens=True)})
    return result


def facts(tok):
    chat = tok.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    return {
        "tokenizations": tokenizations(tok),
        "messages": MESSAGES,
        "chat": chat,
        "cases": [],
    }


def make_tiny():
    for folder in (TINY, ADAPTERS):
        shutil.rmtree(folder, ignore_errors=True)
    tok = tokenizer()
    tok.save_pretrained(TINY)
    random_model(1, tied=False).half().save_pretrained(TINY)
    (TINY / "generation_config.json").unlink(missing_ok=True)
    write_gguf(HERE / GGUF_NAME, random_model(2, tied=True), tok)
    write_adapters()

    expected, tensors = facts(tok), {}

    def record(source, model, adapter):
        logits, greedy = answers(model, tok, PROMPTS)
        for index, prompt in enumerate(PROMPTS):
            name = f"{source}/{adapter or 'base'}/{index}"
            tensors[name] = logits[index].contiguous()
            ids = tok(prompt, add_special_tokens=False)["input_ids"]
            expected["cases"].append(
                dict(name=name, source=source, adapter=adapter, prompt=ids, greedy=greedy[index])
            )

    def load(source):
        options = dict(gguf_file=GGUF_NAME) if source == "gguf" else {}
        place = HERE if source == "gguf" else TINY
        return AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, **options).eval()

    for source, adapters in (("huggingface", ADAPTER_CONFIGS), ("gguf", ["all-r8", "rslora-r8"])):
        record(source, load(source), None)
        for adapter in adapters:
            model = PeftModel.from_pretrained(load(source), ADAPTERS / adapter).eval()
            record(source, model, adapter)
    save_file(tensors, HERE / "expected.safetensors")
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def make_smollm2(path):
    place, name = path.parent, path.name
    tok = AutoTokenizer.from_pretrained(place, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.float32).eval()
    expected, tensors = facts(tok), {}
    prompts = ["The capital of France is", expected["chat"]]
    logits, greedy = answers(model, tok, prompts)
    for index, prompt in enumerate(prompts):
        name = f"gguf/base/{index}"
        # Every 97th column of 49,152: enough to notice any difference, small enough to check in.
        tensors[name] = logits[index][:, ::97].contiguous()
        ids = tok(prompt, add_special_tokens=False)["input_ids"]
        expected["cases"].append(
            dict(name=name, source="gguf", adapter=None, prompt=ids, greedy=greedy[index])
        )
    save_file(tensors, HERE / "smollm2.safetensors")
    (HERE / "smollm2.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--smollm2", type=Path)
    arguments = parser.parse_args()
    if arguments.smollm2:
        make_smollm2(arguments.smollm2.resolve())
    else:
        make_tiny()
