"""The pieces of work, each as a function that is made once and called many times."""

import torch


def training(models, rows, token_rows, users=1):
    """A training step of each of so many users, one after another: text encoder and UNet, forward and backward to the two vectors,
    Adam on them."""
    learners = []
    for _ in range(users):
        vectors = torch.randn(2, models.width, device=models.device).mul_(0.02).requires_grad_()
        learners.append((vectors, torch.optim.Adam([vectors], lr=5e-3, betas=(0.9, 0.98))))
    latents = models.noise(rows, 4, models.latent, models.latent)
    target = models.noise(rows, 4, models.latent, models.latent, dtype=torch.float32)
    times = torch.linspace(20, 980, rows, device=models.device).long()
    ids = models.ids(rows)

    def step():
        for vectors, adam in learners:
            begin(models)
            adam.zero_grad(set_to_none=True)
            token_rows.learned = vectors
            context = models.text(ids).last_hidden_state
            prediction = models.unet(latents, times, context, return_dict=False)[0]
            (prediction.float() - target).square().mean().backward()
            adam.step()
        token_rows.learned = None

    return step


def sampling(models, pictures, steps=50):
    """A guided DDIM step of so many pictures: the UNet on twice as many rows."""
    scheduler = models.scheduler
    scheduler.set_timesteps(steps, device=models.device)
    latents = models.noise(pictures, 4, models.latent, models.latent)
    context = models.noise(2 * pictures, models.length, models.width)
    time = scheduler.timesteps[0]

    @torch.no_grad()
    def step():
        begin(models)
        guided(models, latents, time, context)

    return step


def pictures(models, count, steps):
    """So many whole pictures: prompts, all guided steps, VAE."""
    scheduler = models.scheduler
    scheduler.set_timesteps(steps, device=models.device)
    ids, start = models.ids(2 * count), models.noise(count, 4, models.latent, models.latent)

    @torch.no_grad()
    def draw():
        begin(models)
        context, latents = models.text(ids).last_hidden_state.clone(), start
        for time in scheduler.timesteps:
            begin(models)
            latents = guided(models, latents, time, context)
        models.vae.decode(latents / models.vae.config.scaling_factor, return_dict=False)

    return draw


def guided(models, latents, time, context, scale=7.5):
    pair = torch.cat([latents, latents])
    low, high = models.unet(pair, time, context, return_dict=False)[0].float().chunk(2)
    return models.scheduler.step(low + scale * (high - low), time, latents.float()).prev_sample.to(models.dtype)


def text(models, prompts):
    """The text encoder on so many prompts, forward."""
    ids = models.ids(prompts)
    return without_gradients(models, lambda: models.text(ids).last_hidden_state)


def decoding(models, count):
    """So many pictures through the VAE."""
    latents = models.noise(count, 4, models.latent, models.latent)
    return without_gradients(models, lambda: models.vae.decode(latents, return_dict=False))


def encoding(models, count):
    """So many photos through the VAE."""
    photos = models.noise(count, 3, models.image, models.image)
    return without_gradients(models, lambda: models.vae.encode(photos).latent_dist.mean)


def without_gradients(models, work):
    @torch.no_grad()
    def quietly():
        begin(models)
        work()

    return quietly


def begin(models):
    """Tells CUDA graphs that what the last call answered may be overwritten."""
    if models.variant == "graphs":
        torch.compiler.cudagraph_mark_step_begin()
