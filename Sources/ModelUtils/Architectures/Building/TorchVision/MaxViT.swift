import ModelCore

/// MaxViT, tiny, for pictures of 224 x 224.
enum MaxViT {
  static let architectures = [Architecture(torchVision: "maxvit_t", build)]

  private static let stem = 64
  private static let widths = [64, 128, 256, 512]
  private static let depths = [2, 2, 5, 2]
  private static let headSize = 32
  private static let partition = 7
  private static let drop = 0.2

  private static func className(_ name: String) -> ClassName { TorchVision.className("maxvit", name) }

  private static func build(_ make: ModuleBuilder, classes: Int) -> Module {
    let norm: ModuleBuilder.Norm = { make.batchNorm2d($0, eps: 1e-3, momentum: 0.01) }
    let first = make.sequential([
      make.conv2dNormActivation(3, stem, stride: 2, norm: norm, activation: .gelu, inplace: false),
      make.module(
        TorchVision.conv2dNormActivation, attributes: ["out_channels": .int(stem)],
        ModuleBuilder.numbered([make.conv2d(stem, stem, 3, padding: 1)])),
    ])
    // The stem halves the picture of 224 pixels, and so does every block.
    var (blocks, inputs, grid, built) = ([Module](), stem, 112, 0)
    let last = depths.reduce(0, +) - 1
    for (width, depth) in zip(widths, depths) {
      grid /= 2
      let layers = (0..<depth).map { index in
        // As NumPy's linspace rounds, whose last number is exact.
        let drop = built == last ? drop : drop / Double(last) * Double(built)
        built += 1
        return make.module(
          className("MaxVitLayer"),
          [
            "layers": make.sequential(named: [
              "MBconv": convolutions(
                make, index == 0 ? inputs : width, width, stride: index == 0 ? 2 : 1, drop: drop, norm),
              "window_attention": attention(make, width, grid: grid, isGrid: false, drop: drop),
              "grid_attention": attention(make, width, grid: grid, isGrid: true, drop: drop),
            ])
          ])
      }
      blocks.append(
        make.module(
          className("MaxVitBlock"), attributes: ["grid_size": .tuple([.int(grid), .int(grid)])],
          ["layers": make.moduleList(layers)]))
      inputs = width
    }
    let root = make.module(
      className("MaxVit"), attributes: ["partition_size": .int(partition)],
      [
        "stem": first, "blocks": make.moduleList(blocks),
        "classifier": make.sequential([
          make.adaptiveAvgPool2d(1), make.flatten(), make.layerNorm(inputs), make.linear(inputs, inputs),
          make.activation(.tanh), make.linear(inputs, classes, bias: false),
        ]),
      ])
    make.initialize(root, standardDeviation: 0.02)
    return root
  }

  private static func convolutions(
    _ make: ModuleBuilder, _ inputs: Int, _ outputs: Int, stride: Int, drop: Double,
    _ norm: @escaping ModuleBuilder.Norm
  ) -> Module {
    var shortcut = make.identity()
    if stride != 1 || inputs != outputs {
      let pool = stride == 2 ? [make.avgPool2d(3, stride: 2, padding: 1)] : []
      shortcut = make.sequential(pool + [make.conv2d(inputs, outputs, 1)])
    }
    let middle = 4 * outputs
    return make.module(
      className("MBConv"),
      [
        "proj": shortcut, "stochastic_depth": drop > 0 ? make.stochasticDepth(drop) : make.identity(),
        "layers": make.sequential(named: [
          "pre_norm": norm(inputs),
          "conv_a": make.conv2dNormActivation(
            inputs, middle, kernel: 1, norm: norm, activation: .gelu, inplace: false),
          "conv_b": make.conv2dNormActivation(
            middle, middle, stride: stride, groups: middle, norm: norm, activation: .gelu, inplace: false),
          "squeeze_excitation": make.squeezeExcitation(middle, outputs / 4, activation: make.activation(.silu)),
          "conv_c": make.conv2d(middle, outputs, 1),
        ]),
      ])
  }

  private static func attention(
    _ make: ModuleBuilder, _ width: Int, grid: Int, isGrid: Bool, drop: Double
  ) -> Module {
    let partitions = grid / partition
    func swap() -> Module {
      isGrid ? make.module(className("SwapAxes"), attributes: ["a": .int(-2), "b": .int(-3)]) : make.identity()
    }
    return make.module(
      className("PartitionAttentionLayer"),
      attributes: [
        "n_heads": .int(width / headSize), "head_dim": .int(headSize), "n_partitions": .int(partitions),
        "partition_type": .string(isGrid ? "grid" : "window"), "grid_size": .tuple([.int(grid), .int(grid)]),
        "p": .int(isGrid ? partitions : partition), "g": .int(isGrid ? partition : partitions),
      ],
      [
        "partition_op": make.module(className("WindowPartition")),
        "departition_op": make.module(className("WindowDepartition")), "partition_swap": swap(),
        "departition_swap": swap(),
        "attn_layer": make.sequential([make.layerNorm(width), heads(make, width), make.dropout(0)]),
        "mlp_layer": make.sequential([
          make.layerNorm(width), make.linear(width, 4 * width), make.activation(.gelu),
          make.linear(4 * width, width), make.dropout(0),
        ]),
        "stochastic_dropout": make.stochasticDepth(drop),
      ])
  }

  private static func heads(_ make: ModuleBuilder, _ width: Int) -> Module {
    let heads = width / headSize
    let projections: OrderedDictionary<String, Module> = [
      "to_qkv": make.linear(width, 3 * width), "merge": make.linear(width, width),
    ]
    var module = make.module(
      className("RelativePositionalMultiHeadAttention"),
      attributes: [
        "n_heads": .int(heads), "head_dim": .int(headSize), "size": .int(partition),
        "max_seq_len": .int(partition * partition), "scale_factor": .double(1 / Double(width).squareRoot()),
      ], projections,
      parameters: ["relative_position_bias_table": make.relativePositionBiases(window: partition, heads: heads)])
    module.buffers["relative_position_index"] = make.relativePositions(window: partition, axes: 2)
    return module
  }
}
