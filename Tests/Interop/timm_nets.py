"""Small networks of timm's classes, with options that its own models choose and others that none does."""

from collections import Counter
from functools import partial

import nets
import torch
import torch.fx
from helpers import CONVS, NORMS
from timm.layers import (
    AvgPool2dSame,
    BlurPool2d,
    Conv2dSame,
    EvoNorm2dS0a,
    FilterResponseNormTlu2d,
    GroupNormAct,
    LayerNorm2d,
    RmsNorm,
    ScaledStdConv2d,
    SelectAdaptivePool2d,
    SimpleNorm2d,
    StdConv2dSame,
    SwiGLU,
    freeze_batch_norm_2d,
)
from timm.layers.create_conv2d import create_conv2d
from timm.layers.drop import DropBlock2d
from timm.layers.mlp import GatedMlp, GluMlp
from timm.layers.norm_act import BatchNormAct2d, SyncBatchNormAct, convert_sync_batchnorm
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.byobnet import ByobNet, ByoBlockCfg, ByoModelCfg
from timm.models.convnext import ConvNeXt
from timm.models.cspnet import CspModelCfg, CspNet, CspStagesCfg, CspStemCfg
from timm.models.deit import VisionTransformerDistilled
from timm.models.dpn import DPN
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.mlp_mixer import Affine, MlpMixer, ResBlock, SpatialGatingBlock
from timm.models.nfnet import NfCfg, NormFreeNet
from timm.models.regnet import RegNet, RegNetCfg
from timm.models.res2net import Bottle2neck
from timm.models.resnest import ResNestBottleneck
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from timm.models.resnetv2 import ResNetV2
from timm.models.sknet import SelectiveKernelBasic, SelectiveKernelBottleneck
from timm.layers._fx import get_notrace_functions, get_notrace_modules
from timm.models.vgg import VGG
from timm.models.vision_transformer import ParallelScalingBlock, ParallelThingsBlock, ResPostBlock, VisionTransformer
from torch import nn


def resnet(block, **options):
    return ResNet(
        block, (2, 1, 1, 1), **{"channels": (8, 16, 16, 24), "stem_width": 8, "num_classes": 5, **options}
    )


def attended(kind, **options):
    return resnet(Bottleneck, block_args=dict(attn_layer=kind, **options), channels=(8, 8, 8, 16))


def resnetv2(**options):
    options = {"channels": (16, 24, 32, 40), "stem_chs": 8, "num_classes": 5, **options}
    return ResNetV2((1, 1, 1, 1), norm_layer=options.pop("norm_layer", partial(GroupNormAct, num_groups=2)), **options)


def efficientnet(*stages, make=EfficientNet, **options):
    options = {"num_classes": 5, "num_features": 24, "stem_size": 8, "fix_stem": True, **options}
    return make(decode_arch_def([[s] if isinstance(s, str) else list(s) for s in stages]), **options)


MOBILE = ("ds_r1_k3_s1_e1_c8_se0.25", "ir_r2_k5_s2_e3_c16_nre", "er_r1_k3_s2_e2_c16_se0.5", "cn_r2_k3_s1_c16_skip")
UNIVERSAL = ("uir_r1_a3_k5_s2_e2_c16", "uir_r2_a3_k0_s1_e2_c16", "uir_r1_a0_k3_s2_e2_c24", "uir_r1_a5_k0_s1_e2_c24")


def regnet(**options):
    return RegNet(RegNetCfg(depth=6, w0=8, wa=8, wm=2, group_size=8, stem_width=8, **options), num_classes=5)


def byobnet(*kinds, **options):
    stages = tuple(ByoBlockCfg(type=kind, d=2, c=16 * (i + 1), s=2, gs=8, br=0.5) for i, kind in enumerate(kinds))
    options = {"stem_chs": 16, "stem_pool": "", **options}
    return ByobNet(ByoModelCfg(blocks=stages, **options), num_classes=5)


def convnext(**options):
    return ConvNeXt(**{"num_classes": 5, "depths": (1, 1, 1, 1), "dims": (8, 12, 16, 24), **options})


def vit(make=VisionTransformer, **options):
    return make(
        **{"img_size": (32, 48), "patch_size": 8, "num_classes": 5, "embed_dim": 24, "depth": 2, "num_heads": 3, **options}
    )


def cspnet(**stages):
    cfg = CspStagesCfg(depth=(1, 2), out_chs=(16, 24), **stages)
    return CspNet(CspModelCfg(stem=CspStemCfg(out_chs=(8, 16), stride=4, pool="max"), stages=cfg), num_classes=5)


def nfnet(**options):
    return NormFreeNet(NfCfg(depths=(1, 2, 1, 1), channels=(16, 24, 32, 32), stem_chs=16, attn_kwargs={}, **options), num_classes=5)


def dpn(**options):
    return DPN(k_sec=(1, 2, 1, 1), inc_sec=(4, 4, 8, 8), k_r=16, groups=4, num_init_features=8, num_classes=5, **options)


def mixer(**options):
    return MlpMixer(img_size=48, patch_size=8, num_classes=5, num_blocks=2, embed_dim=16, **options)


def layers():
    """What no network above has, one behind the other."""
    return nn.Sequential(
        create_conv2d(3, 8, 3, stride=2, padding="same"),
        BatchNormAct2d(8, act_layer=nn.SiLU, drop_layer=partial(DropBlock2d, 0.1)),
        StdConv2dSame(8, 8, (3, 2), stride=2, dilation=2),
        FilterResponseNormTlu2d(8),
        ScaledStdConv2d(8, 8, 3, groups=4),
        SimpleNorm2d(8),
        create_conv2d(8, 8, [3, 5], depthwise=True),
        AvgPool2dSame(3, 2),
        LayerNorm2d(8),
        BlurPool2d(None, filt_size=4),
        SelectAdaptivePool2d(pool_type="fastcatavgmax", flatten=True),
        nn.Linear(16, 5),
    )


NETS = {
    "resnet": lambda: resnet(BasicBlock, norm_layer=partial(nn.BatchNorm2d, eps=1e-3), drop_path_rate=0.1),
    "resnet-d": lambda: resnet(
        Bottleneck, stem_type="deep_tiered", avg_down=True, act_layer="leaky_relu", global_pool="catavgmax", drop_rate=0.1
    ),
    "resnext blur": lambda: resnet(Bottleneck, cardinality=4, base_width=16, aa_layer=BlurPool2d, replace_stem_pool=True),
    "resnet dilated": lambda: resnet(BasicBlock, aa_layer=nn.AvgPool2d, output_stride=16, avg_down=True, global_pool="max"),
    "se": lambda: attended("se"),
    "ese": lambda: attended("ese"),
    "eca": lambda: attended("eca"),
    "ecam": lambda: attended("ecam"),
    "ceca": lambda: attended("ceca"),
    "gc": lambda: attended("gc"),
    "gca": lambda: attended("gca"),
    "cbam": lambda: attended("cbam"),
    "lcbam": lambda: attended("lcbam"),
    "sknet": lambda: resnet(SelectiveKernelBasic, channels=(16, 16, 16, 32)),
    "sknext": lambda: resnet(
        SelectiveKernelBottleneck, channels=(16, 16, 16, 32), cardinality=4, base_width=16, block_args=dict(sk_kwargs=dict(split_input=False))
    ),
    "res2net": lambda: resnet(Bottle2neck, base_width=32, cardinality=1, block_args=dict(scale=4)),
    "resnest": lambda: resnet(
        ResNestBottleneck, stem_type="deep", avg_down=True, block_args=dict(radix=2, avd=True, avd_first=False)
    ),
    "resnest 1": lambda: resnet(ResNestBottleneck, channels=(16, 16, 16, 32), cardinality=2, block_args=dict(radix=1)),
    "resnetv2": lambda: resnetv2(conv_layer=create_conv2d, norm_layer="batchnorm", stem_type="deep", avg_down=True),
    "bit": lambda: resnetv2(stem_type="fixed"),
    "bit same": lambda: resnetv2(stem_type="same", preact=False, conv_layer=partial(StdConv2dSame, eps=1e-8)),
    "resnetv2 basic": lambda: resnetv2(basic=True, conv_layer=create_conv2d, norm_layer="batchnorm", output_stride=16, avg_down=True),
    "evos": lambda: resnetv2(norm_layer=partial(EvoNorm2dS0a, group_size=8), conv_layer=create_conv2d),
    "efficientnet": lambda: efficientnet(*MOBILE, norm_layer=partial(nn.BatchNorm2d, eps=1e-2), act_layer=nn.SiLU, drop_path_rate=0.2),
    "tf efficientnet": lambda: efficientnet(*MOBILE, pad_type="same", act_layer=nn.ReLU6, drop_rate=0.2),
    "efficientnet gn": lambda: efficientnet(
        *MOBILE, aa_layer="blurpc", norm_layer=partial(GroupNormAct, num_groups=2), global_pool="avgmax"
    ),
    "efficientnet ln": lambda: efficientnet(*MOBILE[:2], norm_layer=LayerNorm2d, act_layer="mish", num_features=0),
    "s2d": lambda: efficientnet("ds_r1_k5_s1_e1_c8_d1", "ir_r1_k3_s2_e2_c16"),
    "mixnet": lambda: efficientnet("ir_r1_k3.5.7_a1.1_p1.1_s2_e4_c16_se0.5_nsw", "ir_r1_k3.5_s1_e2_c16"),
    "mobilenetv3": lambda: efficientnet(*MOBILE, make=MobileNetV3, act_layer=nn.Hardswish),
    "mobilenetv4": lambda: efficientnet(*UNIVERSAL, make=MobileNetV3, head_norm=True, layer_scale_init_value=0.5, pad_type="same"),
    "mobilenetv4 hybrid": lambda: efficientnet(
        UNIVERSAL[:1] + ("mqa_r1_k3_h2_s1_v2_d8_c16", "mha_r1_k3_h2_s1_d8_c16") + UNIVERSAL[1:2], make=MobileNetV3, layer_scale_init_value=0.5
    ),
    "regnetx": lambda: regnet(),
    "regnety": lambda: regnet(se_ratio=0.25, downsample="avg"),
    "regnetz": lambda: regnet(se_ratio=0.25, downsample=None, linear_out=True, num_features=24, act_layer="silu"),
    "regnetv": lambda: regnet(preact=True, se_ratio=0.5, downsample="avg", act_layer="silu"),
    "byobnet": lambda: byobnet("basic", "bottle", "dark", "edge", stem_type="tiered", attn_layer="se", num_features=24),
    "byobnet last": lambda: byobnet(
        "basic", "bottle", aa_layer="avg", attn_layer="eca", head_type="mlp", head_hidden_size=12,
        block_kwargs=dict(attn_last=True, linear_out=True), downsample="avg", stem_pool="avg2",
    ),
    "repvgg": lambda: byobnet("rep", "rep", stem_type="rep"),
    "repvgg se": lambda: byobnet("rep", "rep", stem_type="rep", attn_layer="se", act_layer="silu"),
    "mobileone": lambda: byobnet("one", "one", stem_type="one", block_kwargs=dict(num_conv_branches=3)),
    "convnext": lambda: convnext(drop_path_rate=0.1),
    "convnextv2": lambda: convnext(use_grn=True, ls_init_value=None, head_hidden_size=10, stem_type="overlap_act"),
    "convnext conv": lambda: convnext(conv_mlp=True, use_grn=True, head_norm_first=True, norm_layer="rmsnorm2d"),
    "convnext dilated": lambda: convnext(output_stride=8, kernel_sizes=(3, 5, 7, 9), conv_bias=False),
    "vit": lambda: vit(drop_path_rate=0.1, drop_rate=0.1, proj_drop_rate=0.1, pos_drop_rate=0.1),
    "vit gap": lambda: vit(global_pool="avg", class_token=False, init_values=0.1, qk_norm=True, norm_layer=RmsNorm),
    "vit map": lambda: vit(global_pool="map", reg_tokens=2, no_embed_class=True, qkv_bias=False, pre_norm=True),
    "vit avgmax": lambda: vit(global_pool="avgmax", reg_tokens=1, pool_include_prefix=True, scale_attn_norm=True, scale_mlp_norm=True),
    "vit swiglu": lambda: vit(pos_embed="none", mlp_layer=SwiGLU, patch_drop_rate=0.1, final_norm=False),
    "vit glu": lambda: vit(block_fn=ResPostBlock, init_values=0.1, mlp_layer=partial(GluMlp, gate_last=False), global_pool="max"),
    "vit parallel": lambda: vit(block_fn=ParallelScalingBlock, qk_norm=True, qkv_bias=False, init_values=0.1),
    "vit things": lambda: vit(block_fn=ParallelThingsBlock, init_values=0.1, dynamic_img_size=True),
    "deit": lambda: vit(VisionTransformerDistilled),
    "cspnet": lambda: cspnet(stage_type="csp", cross_linear=True, groups=2, expand_ratio=2.0),
    "cs3": lambda: cspnet(stage_type="cs3", avg_down=True, down_growth=True, attn_layer="ese", block_type="edge", block_ratio=0.5),
    "darknet": lambda: cspnet(stage_type="dark", block_type="dark", bottle_ratio=0.5),
    "nfnet": lambda: nfnet(stem_type="deep_quad", bottle_ratio=0.5, group_size=8, extra_conv=True, gamma_in_act=True,
                           same_padding=True, skipinit=True, attn_layer="se", act_layer="gelu", num_features=40),
    "nf_regnet": lambda: nfnet(stem_type="3x3", reg=True, attn_layer="eca", act_layer="silu", group_size=8),
    "nf_resnet": lambda: nfnet(stem_type="7x7_pool", act_layer="relu", gamma_in_act=True),
    "dpn": lambda: dpn(),
    "dpn b": lambda: dpn(small=True, b=True, drop_rate=0.1),
    "mixer": lambda: mixer(stem_norm=True, drop_path_rate=0.1, drop_rate=0.1),
    "resmlp": lambda: mixer(block_layer=ResBlock, norm_layer=Affine, mlp_ratio=4),
    "gmixer": lambda: mixer(mlp_layer=GluMlp, mlp_ratio=(1.0, 4.0), act_layer=nn.SiLU, global_pool=""),
    "gmlp": lambda: mixer(block_layer=SpatialGatingBlock, mlp_layer=GatedMlp, mlp_ratio=4),
    "vgg": lambda: VGG([8, "M", 8, "M", 16, "M", 16, "M", 16, "M"], norm_layer=nn.BatchNorm2d, num_classes=5, mlp_ratio=0.002),
    "layers": layers,
    "sync": lambda: convert_sync_batchnorm(resnetv2(conv_layer=create_conv2d, norm_layer="batchnorm")),
    "frozen": lambda: freeze_batch_norm_2d(resnetv2(conv_layer=create_conv2d, norm_layer="batchnorm")),
}  # fmt: skip


def build(name, seed=3):
    """A network none of whose weights is 0 or 1 for all."""
    torch.manual_seed(seed)
    net = nets.lively(NETS[name](), seed)
    with torch.no_grad():
        for tensor in net.parameters():
            if tensor.min() == tensor.max():
                tensor.uniform_(0.5, 1.5)
    return net


def picture(name, batch=1):
    if name in ("mixer", "resmlp", "gmixer", "gmlp"):
        return torch.rand(batch, 3, 48, 48)
    height, width = (32, 48) if name.startswith(("vit", "deit")) else (45, 70) if "same" in name or "tf" in name else (48, 64)
    return torch.rand(batch, 3, height, width)


class Tracer(torch.fx.Tracer):
    """torch.fx's, which looks into no layer that timm has itself or that cannot be traced."""

    def __init__(self):
        super().__init__(autowrap_functions=tuple(get_notrace_functions()))

    def is_leaf_module(self, module, name):
        return isinstance(module, tuple(get_notrace_modules())) or super().is_leaf_module(module, name)


def provable_pairs(model):
    """(conv, bn) names of layers that run once each, the norm alone reading what the convolution gives."""
    graph = Tracer().trace(model.eval())
    modules = dict(model.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    pairs = set()
    for node in graph.nodes:
        if node.op != "call_module" or type(modules[node.target]) not in (*NORMS, BatchNormAct2d, SyncBatchNormAct):
            continue
        source = node.args[0]
        if source.op != "call_module" or len(source.users) != 1 or not modules[node.target].track_running_stats:
            continue
        if type(modules[source.target]) in (*CONVS, Conv2dSame) and calls[source.target] == calls[node.target] == 1:
            pairs.add((source.target, node.target))
    return pairs
