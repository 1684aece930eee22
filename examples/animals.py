"""Draw any number of cats and dogs, 32x32 pixels in colour, no two alike.

Head, ears, eyes, nose and mouth are simple shapes; pose, size, fur, light, ears, background and noise vary.  The two
differ as real ones do at this size: a cat has pointed, upright ears and a small muzzle; a dog has ears that hang at the
sides and a long muzzle with a large nose.
"""

import numpy as np

SIZE, FINE = 32, 2  # pixels, and samples across each pixel, which smooth the edges
CLASSES = ("cat", "dog")
FURS = np.array(
    [
        [0.90, 0.60, 0.30],
        [0.45, 0.30, 0.20],
        [0.25, 0.24, 0.25],
        [0.62, 0.62, 0.64],
        [0.93, 0.88, 0.80],
        [0.75, 0.55, 0.38],
    ]
)


def animals(count, rng):
    """Return float32 images (count, 32, 32, 3) with pixels from 0 to 1, and labels (count,): 0 is a cat, 1 a dog."""
    labels = rng.integers(0, 2, count)
    return np.stack([draw(label, rng) for label in labels]), labels


def draw(label, rng):
    """Draw one image (32, 32, 3) of a cat (0) or a dog (1)."""
    n = SIZE * FINE
    across, down = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n))
    image = background(across, down, rng)
    x, y = posed(across, down, rng)
    fur = np.clip(FURS[rng.integers(len(FURS))] + rng.normal(0, 0.06, 3), 0.05, 0.97)
    (cat if label == 0 else dog)(image, x, y, fur, rng)
    image *= 1 + 0.35 * rng.uniform(-1, 1) * across[..., None] + 0.25 * rng.uniform(-1, 1)  # light from one side
    small = image.reshape(SIZE, FINE, SIZE, FINE, 3).mean(axis=(1, 3)) + rng.normal(0, 0.05, (SIZE, SIZE, 3))
    return np.clip(small, 0, 1).astype(np.float32)


def background(across, down, rng):
    """Return a two-tone wall with blobs of other colours."""
    one, two = rng.uniform(0.1, 0.9, (2, 3))
    share = (np.clip(0.5 + 0.5 * (across * rng.normal() + down * rng.normal()), 0, 1))[..., None]
    image = one * share + two * (1 - share)
    for _ in range(rng.integers(0, 4)):
        (a, b), r = rng.uniform(-1, 1, 2), rng.uniform(0.1, 0.35)
        image[(across - a) ** 2 + (down - b) ** 2 < r * r] = rng.uniform(0.1, 0.9, 3)
    return image


def posed(across, down, rng):
    """Return the coordinates of the animal: turned, moved, scaled, and looking slightly to one side."""
    turn, size = rng.normal(0, 0.16), rng.uniform(0.78, 1.12)
    a, b = across - rng.uniform(-0.16, 0.16), down - rng.uniform(-0.16, 0.16)
    x = (a * np.cos(turn) + b * np.sin(turn)) / size
    y = (b * np.cos(turn) - a * np.sin(turn)) / size
    return x + rng.normal(0, 0.04) * y, y


def ellipse(x, y, a, b, width, height):
    return ((x - a) / width) ** 2 + ((y - b) / height) ** 2 < 1


def triangle(x, y, corners):
    """Return a mask of the points inside the corners, which are on the same side of all three edges."""
    edges = zip(corners, corners[1:] + corners[:1], strict=True)
    left = np.stack([(bx - ax) * (y - ay) >= (by - ay) * (x - ax) for (ax, ay), (bx, by) in edges])
    return left.all(axis=0) | ~left.any(axis=0)


def cat(image, x, y, fur, rng):
    dark, inner = fur * 0.7, np.clip(fur * 0.5 + [0.45, 0.25, 0.28], 0, 1)
    spread, tall = rng.uniform(0.36, 0.46), rng.uniform(0.70, 0.88)
    for side in (-1, 1):
        tip = (side * spread * 1.25, -tall)
        ear = [(side * 0.52, -0.12), (side * 0.10, -0.42), tip]
        image[triangle(x, y, ear)] = fur
        hollow = [(side * 0.44, -0.24), (side * 0.22, -0.42), (side * spread * 1.18, -tall * 0.88)]
        image[triangle(x, y, hollow)] = inner
    image[ellipse(x, y, 0, 0.06, 0.56, 0.50)] = fur
    if rng.random() < 0.5:  # a tabby
        for stripe in (-0.14, 0, 0.14):
            image[ellipse(x, y, stripe, -0.30, 0.035, 0.12)] = dark
    eyes(image, x, y, 0.23, -0.02, 0.10, 0.09, np.array([0.55, 0.75, 0.25]), rng, slit=True)
    muzzle = np.clip(fur + 0.15, 0, 1)
    for side in (-1, 1):
        image[ellipse(x, y, side * 0.09, 0.27, 0.13, 0.10)] = muzzle
    image[triangle(x, y, [(-0.06, 0.16), (0.06, 0.16), (0, 0.23)])] = [0.85, 0.45, 0.5]
    for side in (-1, 1):
        for rise in (-0.05, 0.05):
            line = np.abs(y - 0.27 - rise * (np.abs(x) - 0.2) * 4) < 0.014
            image[line & (side * x > 0.2) & (side * x < 0.62)] = np.clip(fur + 0.35, 0, 1)


def dog(image, x, y, fur, rng):
    dark = fur * rng.uniform(0.45, 0.75)
    image[ellipse(x, y, 0, 0.02, 0.50, 0.56)] = fur
    hang, out = rng.uniform(0.02, 0.16), rng.uniform(0.48, 0.58)
    for side in (-1, 1):
        image[ellipse(x, y, side * out, hang, 0.17, rng.uniform(0.36, 0.46))] = dark
    if rng.random() < 0.4:  # a patch around one eye
        image[ellipse(x, y, rng.choice([-0.2, 0.2]), -0.12, 0.17, 0.18)] = dark
    eyes(image, x, y, 0.20, -0.10, 0.075, 0.075, np.array([0.35, 0.22, 0.12]), rng, slit=False)
    image[ellipse(x, y, 0, 0.30, 0.27, 0.25)] = np.clip(fur + 0.15, 0, 1)
    image[ellipse(x, y, 0, 0.18, 0.12, 0.085)] = [0.08, 0.07, 0.08]
    if rng.random() < 0.5:
        image[ellipse(x, y, 0, 0.50, 0.09, 0.13)] = [0.9, 0.45, 0.5]


def eyes(image, x, y, apart, height, width, tall, colour, rng, slit):
    look = rng.uniform(-0.03, 0.03)
    for side in (-1, 1):
        image[ellipse(x, y, side * apart, height, width, tall)] = colour
        pupil = (0.032, tall * 0.9) if slit else (0.05, 0.05)
        image[ellipse(x, y, side * apart + look, height, *pupil)] = [0.03, 0.03, 0.03]
