"""The published structures of Stable Diffusion 2.1-base and 1.5, and a tiny one for machines without a card."""

DOWN = ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"]
UP = ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]

UNET = dict(
    sample_size=64,
    in_channels=4,
    out_channels=4,
    down_block_types=DOWN,
    up_block_types=UP,
    block_out_channels=[320, 640, 1280, 1280],
    layers_per_block=2,
)
VAE = dict(
    in_channels=3,
    out_channels=3,
    down_block_types=["DownEncoderBlock2D"] * 4,
    up_block_types=["UpDecoderBlock2D"] * 4,
    block_out_channels=[128, 256, 512, 512],
    layers_per_block=2,
    latent_channels=4,
    norm_num_groups=32,
    sample_size=512,
    scaling_factor=0.18215,
)
TEXT = dict(vocab_size=49408, max_position_embeddings=77, bos_token_id=49406, eos_token_id=49407)
SCHEDULER = dict(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    clip_sample=False,
    set_alpha_to_one=False,
    steps_offset=1,
    prediction_type="epsilon",
)

ARCHITECTURES = {
    "sd21-base": dict(
        unet=dict(UNET, cross_attention_dim=1024, attention_head_dim=[5, 10, 20, 20], use_linear_projection=True),
        text_encoder=dict(
            TEXT,
            hidden_size=1024,
            intermediate_size=4096,
            num_attention_heads=16,
            num_hidden_layers=23,
            hidden_act="gelu",
            pad_token_id=1,
            projection_dim=512,
        ),
        vae=VAE,
    ),
    "sd15": dict(
        unet=dict(UNET, cross_attention_dim=768, attention_head_dim=8),
        text_encoder=dict(
            TEXT,
            hidden_size=768,
            intermediate_size=3072,
            num_attention_heads=12,
            num_hidden_layers=12,
            hidden_act="quick_gelu",
            pad_token_id=1,
            projection_dim=768,
        ),
        vae=VAE,
    ),
    "tiny": dict(
        unet=dict(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
            up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
            block_out_channels=[16, 32],
            layers_per_block=1,
            norm_num_groups=8,
            cross_attention_dim=32,
            attention_head_dim=[1, 2],
            use_linear_projection=True,
        ),
        text_encoder=dict(
            vocab_size=1000,
            max_position_embeddings=24,
            hidden_size=32,
            intermediate_size=64,
            num_attention_heads=2,
            num_hidden_layers=2,
            hidden_act="gelu",
            projection_dim=32,
            bos_token_id=998,
            eos_token_id=999,
            pad_token_id=1,
        ),
        vae=dict(
            VAE,
            down_block_types=["DownEncoderBlock2D"] * 2,
            up_block_types=["UpDecoderBlock2D"] * 2,
            block_out_channels=[8, 16],
            layers_per_block=1,
            norm_num_groups=4,
            sample_size=16,
        ),
    ),
}
