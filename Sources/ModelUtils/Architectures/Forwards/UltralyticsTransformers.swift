import ModelCore

extension Forward {
  /// Ultralytics' transformer blocks.
  static let ultralyticsTransformers = ultralytics(
    "transformer",
    [
      "TransformerEncoderLayer": .list { layer, inputs in
        guard let x = inputs.first else { throw ModelError("has no input", subject: layer.path) }
        return try layer.encode(x, positions: inputs.dropFirst().first)
      },
      "AIFI": Forward { layer, x in
        guard case .multiheadAttention(let attention) = layer.module["ma"]?.layer else { throw layer.missing("ma") }
        let frequencies = try layer.constant([1, attention.embeddingSize / 4])
        // Rows and columns of all positions, each multiplied by the frequencies.
        let angles = try ["row", "column"].map { name in
          let grid = try layer.map(name, layer.slice(layer.slice(x, axis: 0, to: 1), axis: 1, to: 1))
          return try layer.matrixProduct(layer.reshape(grid, [.inferred, .fixed(1)]), frequencies)
        }
        let waves = try layer.concatenate(angles.flatMap { try [layer.map("sin", $0), layer.map("cos", $0)] })
        let positions = try layer.reshape(
          waves, [.fixed(1), .of(operand: 0, axis: 0), .of(operand: 0, axis: 1)])
        let y = try layer.encode(layer.permute(layer.flatten(x, start: 2), [0, 2, 1]), positions: positions)
        return try layer.reshape(layer.permute(y, [0, 2, 1]), (0..<4).map { .of(operand: 1, axis: $0) }, like: x)
      },
      "TransformerLayer": .transformerLayer,
      "TransformerBlock": .transformerBlock,
      "MLPBlock": .chain("lin1", "act", "lin2"),
      "MLP": Forward { block, x in
        let (layers, last) = (block.list("layers"), try block.int("num_layers") - 1)
        var y = x
        for (index, layer) in layers.enumerated() {
          y = try block(y, layer)
          if index < last { y = block.has("act") ? try block(y, "act") : try block.relu(y) }
        }
        if block.isTrue("residual") { y = try block.add(y, x) }
        if block.has("out_norm") { y = try block(y, "out_norm") }
        return block.isTrue("sigmoid") ? try block.sigmoid(y) : y
      },
      "LayerNorm2d": Forward { block, x in
        guard let features = block.module.parameters["weight"]?.tensor.shape else { throw block.missing("weight") }
        let norm = LayerNorm(normalizedShape: features)
        return try block.permute(block.emit(.layerNorm(norm), block.permute(x, [0, 2, 3, 1])), [0, 3, 1, 2])
      },
      // Queries, reference boxes and values.
      "MSDeformAttn": .list { layer, inputs in
        guard inputs.count == 3 else {
          throw ModelError("takes three tensors, not \(inputs.count)", subject: layer.path)
        }
        let (heads, size) = (try layer.int("n_heads"), try layer.int("d_model"))
        let points = try layer.int("n_levels") * layer.int("n_points")
        guard heads > 0 else { throw layer.missing("n_heads") }
        func spread(_ tensor: ForwardCall.Value, _ extents: [Int]) throws -> ForwardCall.Value {
          try layer.reshape(
            tensor,
            [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1)] + extents.map { .fixed($0) })
        }
        let values = try spread(layer(inputs[2], "value_proj"), [heads, size / heads])
        let offsets = try spread(layer(inputs[0], "sampling_offsets"), [heads, points, 2])
        let weights = try spread(layer(inputs[0], "attention_weights"), [heads, points])
        let boxes = try layer.reshape(
          layer.slice(inputs[1], axis: -1, to: 2),
          [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(1), .fixed(1), .of(operand: 0, axis: -1)])
        let sampled = try layer.emit(
          .deformableAttention, values, layer.add(boxes, offsets), layer.softmax(weights, axis: -1))
        return try layer(sampled, "output_proj")
      },
      // Queries, reference boxes, values and the queries' positions.
      "DeformableTransformerDecoderLayer": .list { layer, inputs in
        guard inputs.count == 4 else {
          throw ModelError("takes four tensors, not \(inputs.count)", subject: layer.path)
        }
        let (x, positions) = (inputs[0], inputs[3])
        func lengthFirst(_ tensor: ForwardCall.Value) throws -> ForwardCall.Value {
          try layer.permute(tensor, [1, 0, 2])
        }
        let keys = try lengthFirst(layer.add(x, positions))
        let attended = try lengthFirst(layer([keys, keys, lengthFirst(x)], "self_attn"))
        let y = try layer(layer.add(x, layer(attended, "dropout1")), "norm1")
        let sampled = try layer([layer.add(y, positions), inputs[1], inputs[2]], "cross_attn")
        let z = try layer(layer.add(y, layer(sampled, "dropout2")), "norm2")
        return try layer(
          layer.add(z, layer(z, "linear1", "act", "dropout3", "linear2", "dropout4")), "norm3")
      },
    ])
}

extension ForwardCall {
  /// An encoder layer, its norms before or behind its two halves.
  fileprivate func encode(_ x: Value, positions: Value?) throws -> Value {
    func attend(_ x: Value) throws -> Value {
      let keys = try positions.map { try add(x, $0) } ?? x
      return try self(self([keys, keys, x], "ma"), "dropout1")
    }
    func feed(_ x: Value) throws -> Value { try self(x, "fc1", "act", "dropout", "fc2", "dropout2") }
    if isTrue("normalize_before") {
      let y = try add(x, attend(self(x, "norm1")))
      return try add(y, feed(self(y, "norm2")))
    }
    let y = try self(add(x, attend(x)), "norm1")
    return try self(add(y, feed(y)), "norm2")
  }
}
