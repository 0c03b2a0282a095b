"""What a decoder-only model computes, as plain functions on its own weights: no hooks, any rows, any start."""

from interp.models.decoder.attend import Prefix as Prefix
from interp.models.decoder.attend import attend as attend
from interp.models.decoder.families import FAMILIES as FAMILIES
from interp.models.decoder.families import as_decoder as as_decoder
from interp.models.decoder.parts import Attention as Attention
from interp.models.decoder.parts import Block as Block
from interp.models.decoder.parts import Decoder as Decoder
from interp.models.decoder.parts import Mlp as Mlp
