"""Make a tiny random model of each architecture with transformers, and what it says.

Usage: make_tiny_models.py DIRECTORY. Each model goes to DIRECTORY/NAME with its tokenizer;
DIRECTORY/reference.json holds the log-probabilities after each prefix of a token sequence.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import transformers as tf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

TEXT = Path(__file__).read_text() * 2 + "naïve café — 東京, 2 + 2 = 4, don't; the the of of and and"
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SEQUENCE = [5, 40, 171, 9, 300, 77, 260, 18, 222, 64]
VOCABULARY = 400
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "long_factor": [1.5 + n / 8 for n in range(8)],
    "short_factor": [1.0 + n / 16 for n in range(8)],
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
FALCON_40B = {"new_decoder_architecture": True, "num_kv_heads": 2, "num_key_value_heads": None}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
MODELS = {
    "llama": (tf.LlamaConfig, {"tie_word_embeddings": False}),
    "llama-tied": (tf.LlamaConfig, {"tie_word_embeddings": True}),
    "llama-bias": (tf.LlamaConfig, {"attention_bias": True, "mlp_bias": True}),
    "llama-head-dim": (tf.LlamaConfig, {"head_dim": 32}),
    "llama3-rope": (tf.LlamaConfig, {"rope_parameters": LLAMA3, "head_dim": 64}),
    "llama-f16": (tf.LlamaConfig, {"dtype": torch.float16}),
    "llama-bf16": (tf.LlamaConfig, {"dtype": torch.bfloat16, "tie_word_embeddings": True}),
    "mistral": (tf.MistralConfig, {"sliding_window": None}),
    "granite": (
        tf.GraniteConfig,
        {
            "embedding_multiplier": 2.0,
            "residual_multiplier": 0.5,
            "attention_multiplier": 0.2,
            "logits_scaling": 0.5,
        },
    ),
    "qwen2": (tf.Qwen2Config, {"tie_word_embeddings": True}),
    "qwen2-yarn": (tf.Qwen2Config, {"rope_parameters": YARN}),
    "qwen3": (tf.Qwen3Config, {"head_dim": 32}),
    "gemma": (tf.GemmaConfig, {"head_dim": 32}),
    "gemma2": (tf.Gemma2Config, {"head_dim": 32, "query_pre_attn_scalar": 32}),
    "gemma3": (tf.Gemma3TextConfig, {"head_dim": 32, "query_pre_attn_scalar": 32}),
    "phi3": (tf.Phi3Config, {"original_max_position_embeddings": 256}),
    "phi3-longrope": (
        tf.Phi3Config,
        {
            "max_position_embeddings": 1024,
            "original_max_position_embeddings": 256,
            "rope_parameters": LONGROPE,
        },
    ),
    "gpt-neox": (tf.GPTNeoXConfig, {"num_key_value_heads": None}),
    "llama-linear": (
        tf.LlamaConfig,
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e5, "factor": 4.0}},
    ),
    "smollm3": (tf.SmolLM3Config, {"num_hidden_layers": 4}),
    "olmo2": (tf.Olmo2Config, {}),
    "stablelm": (tf.StableLmConfig, {"use_qkv_bias": True}),
    "starcoder2": (tf.Starcoder2Config, {}),
    "falcon-7b": (tf.FalconConfig, {"num_key_value_heads": None}),
    "falcon-40b": (tf.FalconConfig, {**FALCON_40B, "tie_word_embeddings": False}),
    "falcon-11b": (tf.FalconConfig, {**FALCON_40B, "num_ln_in_parallel_attn": 1}),
    "mixtral": (tf.MixtralConfig, {"num_local_experts": 4}),
    "mixtral-fused": (tf.MixtralConfig, {"num_local_experts": 4}),
    "qwen2-moe": (tf.Qwen2MoeConfig, {**EXPERTS, "shared_expert_intermediate_size": 48}),
    "qwen2-moe-bf16": (
        tf.Qwen2MoeConfig,
        {
            **EXPERTS,
            "moe_intermediate_size": 48,
            "shared_expert_intermediate_size": 96,
            "dtype": torch.bfloat16,
        },
    ),
    "qwen3-moe": (tf.Qwen3MoeConfig, {**EXPERTS, "head_dim": 32, "norm_topk_prob": True}),
    "qwen3-moe-fused": (
        tf.Qwen3MoeConfig,
        {**EXPERTS, "num_experts": 8, "head_dim": 16, "norm_topk_prob": True},
    ),
    "granite-moe": (tf.GraniteMoeConfig, {"num_local_experts": 4, "residual_multiplier": 0.5}),
    "granite-moe-fused": (tf.GraniteMoeConfig, {"num_local_experts": 4}),
    "qwen2-yarn-attention": (
        tf.Qwen2Config,
        {"rope_parameters": {**YARN, "attention_factor": 1.5, "beta_fast": 32, "beta_slow": 1}},
    ),
    "mistral-window": (tf.MistralConfig, {"sliding_window": 64}),
    "starcoder2-window": (tf.Starcoder2Config, {"sliding_window": 64}),
}


def main(directory: Path) -> None:
    torch.set_num_threads(1)
    tokenizer = tiny_tokenizer()
    reference = {}
    for number, (name, (kind, changes)) in enumerate(MODELS.items()):
        torch.manual_seed(number)
        settings = {**SHAPE, **changes}
        dtype = settings.pop("dtype", torch.float32)
        model = tf.AutoModelForCausalLM.from_config(kind(**settings)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                # Norms away from one and weights large enough that a wrong order of rows shows.
                parameter.add_(torch.randn_like(parameter) * 0.1)
                parameter.copy_(parameter.to(dtype))
            logits = model(torch.tensor([SEQUENCE])).logits[0]
        reference[name] = torch.log_softmax(logits, -1).tolist()
        # Experts in one tensor, as transformers holds them; else as every checkpoint has them.
        apart = not name.endswith("-fused")
        model.to(dtype).save_pretrained(directory / name, save_original_format=apart)
        tokenizer.save_pretrained(directory / name)
    values = {"sequence": SEQUENCE, "logprobs": reference}
    (directory / "reference.json").write_text(json.dumps(values))


def tiny_tokenizer() -> tf.PreTrainedTokenizerFast:
    """Train a byte-level BPE of fewer entries than the embedding has rows."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 10,
        special_tokens=[AddedToken(token, special=True) for token in SPECIALS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([TEXT], trainer)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        chat_template=TEMPLATE,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
