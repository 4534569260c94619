import ModelCore
import ModelRandom

/// Swin and Swin V2, tiny to base.
struct SwinTransformer: Sendable {
  let width: Int
  let depths: [Int]
  let heads: [Int]
  let drop: Double
  let isSecond: Bool

  static let architectures = [
    ("swin_t", SwinTransformer(width: 96, depths: [2, 2, 6, 2], heads: [3, 6, 12, 24], drop: 0.2, isSecond: false)),
    ("swin_s", SwinTransformer(width: 96, depths: [2, 2, 18, 2], heads: [3, 6, 12, 24], drop: 0.3, isSecond: false)),
    ("swin_b", SwinTransformer(width: 128, depths: [2, 2, 18, 2], heads: [4, 8, 16, 32], drop: 0.5, isSecond: false)),
    ("swin_v2_t", SwinTransformer(width: 96, depths: [2, 2, 6, 2], heads: [3, 6, 12, 24], drop: 0.2, isSecond: true)),
    (
      "swin_v2_s", SwinTransformer(width: 96, depths: [2, 2, 18, 2], heads: [3, 6, 12, 24], drop: 0.3, isSecond: true)
    ),
    (
      "swin_v2_b",
      SwinTransformer(width: 128, depths: [2, 2, 18, 2], heads: [4, 8, 16, 32], drop: 0.5, isSecond: true)
    ),
  ].map { name, net in Architecture(torchVision: name) { net.build($0, classes: $1) } }

  /// The side of a window, in patches.
  private var window: Int { isSecond ? 8 : 7 }

  private func className(_ name: String) -> ClassName {
    TorchVision.className("swin_transformer", name + (isSecond ? "V2" : ""))
  }

  private func build(_ make: ModuleBuilder, classes: Int) -> Module {
    var features = [
      make.sequential([make.conv2d(3, width, 4, stride: 4), make.permute([0, 2, 3, 1]), make.layerNorm(width)])
    ]
    let last = depths.reduce(0, +) - 1
    var (built, width) = (0, width)
    for (stage, depth) in depths.enumerated() {
      let blocks = (0..<depth).map { index in
        defer { built += 1 }
        return block(
          make, width, heads: heads[stage], shift: index % 2 * (window / 2), drop: drop * Double(built) / Double(last))
      }
      features.append(make.sequential(blocks))
      guard stage < depths.count - 1 else { break }
      features.append(
        make.module(
          className("PatchMerging"), attributes: ["dim": .int(width)],
          [
            "reduction": make.linear(4 * width, 2 * width, bias: false),
            "norm": make.layerNorm((isSecond ? 2 : 4) * width),
          ]))
      width *= 2
    }
    let root = make.module(
      TorchVision.className("swin_transformer", "SwinTransformer"), attributes: ["num_classes": .int(classes)],
      [
        "features": make.sequential(features), "norm": make.layerNorm(width), "permute": make.permute([0, 3, 1, 2]),
        "avgpool": make.adaptiveAvgPool2d(1), "flatten": make.flatten(), "head": make.linear(width, classes),
      ])
    make.initializeLinears(root)
    return root
  }

  private func block(_ make: ModuleBuilder, _ width: Int, heads: Int, shift: Int, drop: Double) -> Module {
    make.module(
      className("SwinTransformerBlock"),
      [
        "norm1": make.layerNorm(width), "attn": attention(make, width, heads: heads, shift: shift),
        "stochastic_depth": make.stochasticDepth(drop), "norm2": make.layerNorm(width),
        "mlp": make.transformerMLP(width, TorchVision.mlp),
      ])
  }

  private func attention(_ make: ModuleBuilder, _ width: Int, heads: Int, shift: Int) -> Module {
    var children: OrderedDictionary<String, Module> = [
      "qkv": make.linear(width, 3 * width), "proj": make.linear(width, width),
    ]
    var (parameters, buffers): (OrderedDictionary<String, Parameter>, OrderedDictionary<String, Tensor>) = ([:], [:])
    if isSecond {
      buffers["relative_coords_table"] = make.relativeCoordinates(window: window)
      parameters["logit_scale"] = make.parameter([heads, 1, 1], .constant(CMath.log(10)))
      children["cpb_mlp"] = make.sequential([make.linear(2, 512), make.relu(), make.linear(512, heads, bias: false)])
    } else {
      parameters["relative_position_bias_table"] = make.relativePositionBiases(window: window, heads: heads)
    }
    buffers["relative_position_index"] = make.relativePositions(window: window, axes: 1)
    var module = make.module(
      className("ShiftedWindowAttention"),
      attributes: [
        "window_size": .list([.int(window), .int(window)]), "shift_size": .list([.int(shift), .int(shift)]),
        "num_heads": .int(heads), "attention_dropout": .double(0), "dropout": .double(0),
      ], children, parameters: parameters)
    module.buffers = buffers
    return module
  }
}

extension ModuleBuilder {
  /// For every fully connected layer normal numbers and a bias of 0. They are truncated at 100 deviations, where
  /// nothing is drawn.
  fileprivate func initializeLinears(_ root: Module) {
    root.visitModules { module in
      guard case .linear = module.layer else { return }
      set(module.parameters["weight"], to: .normal(standardDeviation: 0.02))
      set(module.parameters["bias"], to: .constant(0))
    }
  }

  /// How far two positions in a window may be from each other, [1, 2 window - 1, 2 window - 1, 2]: rows and columns on
  /// a logarithmic scale on which the window's side is 8 before and 1.06 after.
  fileprivate func relativeCoordinates(window: Int) -> Tensor {
    let side = 2 * window - 1
    let scale = (1 - window..<window).map { distance -> Float in
      let spread = Float(distance) / Float(window - 1) * 8
      let length = Float(CMath.log2(Double(abs(spread) + 1))) / 3
      return spread < 0 ? -length : spread == 0 ? 0 : length
    }
    return tensor(.float32, [1, side, side, 2]) { bytes in
      let table = bytes.bindMemory(to: Float.self)
      for row in 0..<side {
        for column in 0..<side {
          table[(row * side + column) * 2] = scale[row]
          table[(row * side + column) * 2 + 1] = scale[column]
        }
      }
    }
  }
}
