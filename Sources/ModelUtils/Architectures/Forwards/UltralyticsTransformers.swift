import ModelCore
import ModelGraph

extension Forward {
  /// Ultralytics' transformer blocks.
  static let ultralyticsTransformers = ultralytics(
    "transformer",
    [
      "TransformerEncoderLayer": .list { layer, inputs in
        guard let x = inputs.first else { throw ModelError(.mismatch, "has no input", subject: layer.path) }
        return try layer.encode(x, positions: inputs.dropFirst().first)
      },
      "AIFI": Forward { layer, x in
        guard case .multiheadAttention(let attention) = layer.module["ma"]?.layer else { throw layer.missing("ma") }
        let count = attention.embeddingSize / 4
        guard (1...1 << 20).contains(count), attention.embeddingSize % 4 == 0 else { throw layer.missing("ma") }
        let exponents = try layer.constant((0..<count).map { Double($0) / Double(count) }, [1, count])
        let frequencies = try layer.unary(
          .reciprocal, layer.binary(.power, layer.constant([10000], []), exponents))
        // Rows, then columns of all positions, each multiplied by the frequencies.
        let places = try layer.coordinates(x)
        let angles = try [1, 0].map { axis in
          let grid = try layer.reshape(layer.slice(places, axis: 0, from: axis, to: axis + 1), [.inferred, .fixed(1)])
          return try layer.matrixProduct(grid, frequencies)
        }
        let waves = try layer.concatenate(angles.flatMap { try [layer.unary(.sin, $0), layer.unary(.cos, $0)] })
        let positions = try layer.reshape(waves, [.fixed(1), .of(operand: 0, axis: 0), .of(operand: 0, axis: 1)])
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
        let operation = try Operation.layerNorm(axes: 1, eps: block.double("eps"))
        let operands = try [block.permute(x, [0, 2, 3, 1]), block.weight("weight"), block.weight("bias")]
        return try block.permute(block.emit(operation, operands), [0, 3, 1, 2])
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
