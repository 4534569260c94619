import ModelCore
import ModelGraph

extension Forward {
  /// MaxViT: attention within windows and across a grid, in turn.
  static let torchvisionMaxViT: [String: Forward] = [
    "torchvision.models.maxvit.MaxVit": Forward { net, x in
      try net(net.chain(net(x, "stem"), net.list("blocks")), "classifier")
    },
    "torchvision.models.maxvit.MaxVitBlock": Forward { try $0.chain($1, $0.list("layers")) },
    "torchvision.models.maxvit.MaxVitLayer": .chain("layers"),
    "torchvision.models.maxvit.MBConv": Forward { block, x in
      try block.add(block(x, "proj"), block(x, "layers", "stochastic_depth"))
    },
    "torchvision.models.maxvit.RelativePositionalMultiHeadAttention": Forward { block, x in
      let (heads, size) = (try block.int("n_heads"), try block.int("head_dim"))
      let parts = try block.chunks(block(x, "to_qkv"), 3, axis: -1).map { part in
        let spread = try block.reshape(
          part, (0..<3).map { .of(operand: 0, axis: $0) } + [.fixed(heads), .fixed(size)])
        return try block.permute(spread, [0, 1, 3, 2, 4])
      }
      let keys = try block.permute(block.multiply(parts[1], block.double("scale_factor")), [0, 1, 2, 4, 3])
      let length = try block.int("max_seq_len")
      let bias = try block.relativePositionBias(length: length)
      let weights = try block.softmax(block.add(block.matrixProduct(parts[0], keys), bias), axis: -1)
      let attended = try block.permute(block.matrixProduct(weights, parts[2]), [0, 1, 3, 2, 4])
      return try block(block.reshape(attended, (0..<4).map { .of(operand: 1, axis: $0) }, like: x), "merge")
    },
    "torchvision.models.maxvit.SwapAxes": Forward { module, x in
      let (a, b) = (try module.int("a"), try module.int("b"))
      var axes = [0, 1, 2, 3]
      guard axes.indices.contains(a < 0 ? a + 4 : a), axes.indices.contains(b < 0 ? b + 4 : b) else {
        throw module.missing("a")
      }
      axes.swapAt(a < 0 ? a + 4 : a, b < 0 ? b + 4 : b)
      return try module.permute(x, axes)
    },
    "torchvision.models.maxvit.PartitionAttentionLayer": Forward { layer, x in
      let side = try layer.int("p")
      guard side > 0, let grid = layer.module.attributes["grid_size"]?.intsValue, grid.count == 2 else {
        throw layer.missing("grid_size")
      }
      let windows = try layer.inline("partition_op", [x]) { call in
        let cells = try call.reshape(
          x,
          [
            .of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .of(operand: 0, axis: 2, divisor: side),
            .fixed(side), .of(operand: 0, axis: 3, divisor: side), .fixed(side),
          ])
        return [
          try call.reshape(
            call.permute(cells, [0, 2, 4, 3, 5, 1]),
            [.of(operand: 0, axis: 0), .inferred, .fixed(side * side), .of(operand: 0, axis: 5)])
        ]
      }[0]
      let x = try layer(windows, "partition_swap")
      let y = try layer.add(x, layer(x, "attn_layer", "stochastic_dropout"))
      let z = try layer.add(y, layer(y, "mlp_layer", "stochastic_dropout"))
      let whole = try layer(z, "departition_swap")
      return try layer.inline("departition_op", [whole]) { call in
        let cells = try call.reshape(
          whole,
          [
            .of(operand: 0, axis: 0), .fixed(grid[0] / side), .fixed(grid[1] / side), .fixed(side), .fixed(side),
            .of(operand: 0, axis: 3),
          ])
        return [
          try call.reshape(
            call.permute(cells, [0, 5, 1, 3, 2, 4]),
            [
              .of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .of(operand: 0, axis: 2, multiple: side),
              .of(operand: 0, axis: 4, multiple: side),
            ])
        ]
      }[0]
    },
  ]
}

extension ForwardCall {
  /// A bias for each pair of positions, looked up in the table by how far they are from each other: [1, heads, length,
  /// length].
  func relativePositionBias(length: Int, table: Value? = nil) throws -> Value {
    let index = try reshape(weight("relative_position_index"), [.inferred])
    let biases = try emit(
      .gather(axis: 0, batchAxes: 0), table ?? weight("relative_position_bias_table"), index)
    let pairs = try reshape(biases, [.fixed(length), .fixed(length), .of(operand: 0, axis: 1)])
    return try reshape(
      permute(pairs, [2, 0, 1]), [.fixed(1)] + (0..<3).map { .of(operand: 0, axis: $0) })
  }
}
