import ModelCore

/// YOLOv6-lite: networks for telephones, of shuffled halves and depthwise convolutions.
struct YOLOv6Lite: Sendable {
  /// How many times as many channels the backbone has as the table says.
  let width: Double

  /// Channels of the neck and the head.
  private static let inner = 96
  /// Blocks of each stage.
  private static let counts = [1, 3, 7, 3]

  /// The nearest multiple that is not below nine tenths.
  private static func rounded(_ value: Double, to divisor: Int = 16) -> Int {
    let result = max(divisor, Int(value + Double(divisor) / 2) / divisor * divisor)
    return Double(result) < 0.9 * value ? result + divisor : result
  }

  func build(_ make: ModuleBuilder, classes: Int) -> Module {
    let layers = YOLOv6LiteLayers(make)
    let outputs = [24] + [32, 64, 128, 256].map { Self.rounded($0 * width) }
    let middles = outputs.map { Self.rounded(Double($0 / 2), to: 8) }
    var stages: OrderedDictionary<String, Module> = ["conv_0": layers.conv(3, outputs[0], 3, stride: 2)]
    for (index, count) in Self.counts.enumerated() {
      let (from, middle, to) = (outputs[index], middles[index + 1], outputs[index + 1])
      stages["lite_effiblock_\(index + 1)"] = make.sequential(
        [layers.halving(from, middle, to)] + make.repeated(count - 1) { layers.shuffled(to, middle) })
    }
    let backbone = make.module(ClassName("yolov6.models.efficientrep", "Lite_EffiBackbone"), stages)
    let neck = self.neck(layers, outputs.suffix(3))
    let head = YOLOv6Head(make: make, strides: [8, 16, 32, 64], classes: classes)
    let detect = head.lite(Self.inner) { layers.depthwise(Self.inner, Self.inner) }
    var root = make.module(
      ClassName("yolov6.models.yolo_lite", "Model"), attributes: ["stride": head.stride],
      ["backbone": backbone, "neck": neck, "detect": detect])
    root.initializeWeights()
    return root
  }

  private func neck(_ layers: YOLOv6LiteLayers, _ levels: ArraySlice<Int>) -> Module {
    let inner = Self.inner
    var children: OrderedDictionary<String, Module> = [:]
    for (index, channels) in levels.reversed().enumerated() {
      children["reduce_layer\(index)"] = layers.conv(channels, inner, 1)
    }
    for name in ["upsample0", "upsample1"] { children[name] = layers.make.upsample(.scale([2, 2]), mode: "nearest") }
    for name in ["Csp_p4", "Csp_p3", "Csp_n3", "Csp_n4"] { children[name] = layers.split(2 * inner, inner) }
    for name in ["downsample2", "downsample1", "p6_conv_1", "p6_conv_2"] {
      children[name] = layers.depthwise(inner, inner, stride: 2)
    }
    return layers.make.module(ClassName("yolov6.models.reppan", "Lite_EffiNeck"), children)
  }
}

/// The blocks of the lite networks, from YOLOv6's layers/common.py.
private struct YOLOv6LiteLayers {
  let make: ModuleBuilder
  private let layers: YOLOv6Layers

  init(_ make: ModuleBuilder) {
    self.make = make
    layers = YOLOv6Layers(make: make, mode: .repvgg)
  }

  func conv(_ inputs: Int, _ outputs: Int, _ kernel: Int, stride: Int = 1, groups: Int = 1) -> Module {
    layers.conv(inputs, outputs, kernel, stride: stride, groups: groups, .hardswish)
  }

  private func plain(_ channels: Int, stride: Int = 1) -> Module {
    layers.conv(channels, channels, 3, stride: stride, groups: channels, nil)
  }

  /// `SEBlock`: channels weighted by what their means say.
  private func excitation(_ channels: Int) -> Module {
    make.module(
      YOLOv6Layers.className("SEBlock"),
      [
        "avg_pool": make.adaptiveAvgPool2d(1), "conv1": make.conv2d(channels, channels / 4, 1),
        "relu": make.activation(.relu), "conv2": make.conv2d(channels / 4, channels, 1),
        "hardsigmoid": make.activation(.hardsigmoid),
      ])
  }

  /// `Lite_EffiBlockS1`: one half of the channels goes on as it is.
  func shuffled(_ channels: Int, _ middle: Int) -> Module {
    make.module(
      YOLOv6Layers.className("Lite_EffiBlockS1"),
      [
        "conv_pw_1": conv(channels / 2, middle, 1), "conv_dw_1": plain(middle), "se": excitation(middle),
        "conv_1": conv(middle, channels / 2, 1),
      ])
  }

  /// `Lite_EffiBlockS2`: two branches of half the size.
  func halving(_ inputs: Int, _ middle: Int, _ outputs: Int) -> Module {
    make.module(
      YOLOv6Layers.className("Lite_EffiBlockS2"),
      [
        "conv_dw_1": plain(inputs, stride: 2), "conv_1": conv(inputs, outputs / 2, 1),
        "conv_pw_2": conv(inputs, middle / 2, 1), "conv_dw_2": plain(middle / 2, stride: 2),
        "se": excitation(middle / 2), "conv_2": conv(middle / 2, outputs / 2, 1),
        "conv_dw_3": conv(outputs, outputs, 3, groups: outputs), "conv_pw_3": conv(outputs, outputs, 1),
      ])
  }

  /// `DPBlock`: a depthwise convolution of 5×5 and one of single pixels.
  func depthwise(_ inputs: Int, _ outputs: Int, stride: Int = 1) -> Module {
    make.module(
      YOLOv6Layers.className("DPBlock"),
      [
        "conv_dw_1": make.conv2d(inputs, outputs, 5, stride: stride, padding: 2, groups: outputs),
        "bn_1": make.batchNorm2d(outputs), "act_1": make.activation(.hardswish),
        "conv_pw_1": make.conv2d(outputs, outputs, 1), "bn_2": make.batchNorm2d(outputs),
        "act_2": make.activation(.hardswish),
      ])
  }

  /// `CSPBlock`: two branches, one of them through a `DarknetBlock`.
  func split(_ inputs: Int, _ outputs: Int) -> Module {
    let half = outputs / 2
    let (first, second, last) = (conv(inputs, half, 1), conv(inputs, half, 1), conv(2 * half, outputs, 1))
    let blocks = make.module(
      YOLOv6Layers.className("DarknetBlock"), ["conv_1": conv(half, half, 1), "conv_2": depthwise(half, half)])
    return make.module(
      YOLOv6Layers.className("CSPBlock"), ["conv_1": first, "conv_2": second, "conv_3": last, "blocks": blocks])
  }
}
