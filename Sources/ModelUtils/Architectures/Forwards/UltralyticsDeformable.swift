import ModelCore
import ModelGraph

extension Forward {
  /// The attention of RT-DETR's decoder, which looks at a few places of every level.
  ///
  /// Behind the values, [batch, positions, features], come the levels' maps, of which only the sizes count.
  static let ultralyticsDeformable = ultralytics(
    "transformer",
    [
      // Queries, reference boxes, values and maps.
      "MSDeformAttn": .list { layer, inputs in
        let (heads, size) = (try layer.int("n_heads"), try layer.int("d_model"))
        let (levels, points) = (try layer.int("n_levels"), try layer.int("n_points"))
        guard heads > 0, size % heads == 0 else { throw layer.missing("n_heads") }
        guard (1...64).contains(levels) else { throw layer.missing("n_levels") }
        guard (1...1024).contains(points) else { throw layer.missing("n_points") }
        try layer.check(inputs, count: 3 + levels)
        let (queries, maps) = (inputs[0], Array(inputs[3...]))
        func spread(_ tensor: ForwardCall.Value, _ extents: [Int]) throws -> ForwardCall.Value {
          try layer.reshape(
            tensor, [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1)] + extents.map { .fixed($0) })
        }
        let values = try layer.flatten(
          layer.permute(spread(layer(inputs[2], "value_proj"), [heads, size / heads]), [0, 2, 3, 1]), start: 0, end: 1)
        let parts = try layer.emitAll(
          .split(axis: 2, .extents((1...levels).map { .of(operand: $0, axis: 2) })),
          [values] + maps.map { try layer.flatten($0, start: 2) })
        // Where each query looks: around its box, in parts of the box's size.
        let offsets = try spread(layer(queries, "sampling_offsets"), [heads, levels * points, 2])
        let weights = try layer.softmax(
          spread(layer(queries, "attention_weights"), [heads, levels * points]), axis: -1)
        let boxes = try spread(inputs[1], [1, 1, 4])
        let reach = try layer.multiply(
          layer.multiply(
            layer.divide(offsets, layer.constant([Double(points)], [])), layer.slice(boxes, axis: -1, from: 2)), 0.5)
        let places = try layer.add(layer.slice(boxes, axis: -1, to: 2), reach)
        let grids = try layer.split(
          layer.flatten(
            layer.permute(layer.add(layer.multiply(places, 2), -1), [0, 2, 1, 3, 4]), start: 0, end: 1),
          [Int](repeating: points, count: levels), axis: 2)
        let samples = try maps.indices.map { level in
          let picture = try layer.reshape(
            parts[level],
            [.of(operand: 0, axis: 0), .fixed(size / heads), .of(operand: 1, axis: 2), .of(operand: 1, axis: 3)],
            like: maps[level])
          return try layer.emit(.gridSample(alignsCorners: false), picture, grids[level])
        }
        // [batch · heads, features, queries, levels · points]
        let shares = try layer.reshape(
          layer.flatten(layer.permute(weights, [0, 2, 1, 3]), start: 0, end: 1),
          [.of(operand: 0, axis: 0), .fixed(1), .of(operand: 0, axis: 1), .of(operand: 0, axis: 2)])
        let sampled = try layer.emit(
          .reduce(.sum, axes: [-1], keepsAxes: false), layer.multiply(layer.concatenate(samples, axis: -1), shares))
        let joined = try layer.reshape(
          sampled, [.of(operand: 1, axis: 0), .fixed(size), .of(operand: 0, axis: 2)], like: queries)
        return try layer(layer.permute(joined, [0, 2, 1]), "output_proj")
      },
      // Queries, reference boxes, values, the queries' positions and maps.
      "DeformableTransformerDecoderLayer": .list { layer, inputs in
        guard inputs.count > 4 else {
          throw ModelError(.mismatch, "takes more than \(inputs.count) tensors", subject: layer.path)
        }
        let (x, positions) = (inputs[0], inputs[3])
        func lengthFirst(_ tensor: ForwardCall.Value) throws -> ForwardCall.Value {
          try layer.permute(tensor, [1, 0, 2])
        }
        let keys = try lengthFirst(layer.add(x, positions))
        let attended = try lengthFirst(layer([keys, keys, lengthFirst(x)], "self_attn"))
        let y = try layer(layer.add(x, layer(attended, "dropout1")), "norm1")
        let sampled = try layer([layer.add(y, positions), inputs[1], inputs[2]] + inputs[4...], "cross_attn")
        let z = try layer(layer.add(y, layer(sampled, "dropout2")), "norm2")
        return try layer(
          layer.add(z, layer(z, "linear1", "act", "dropout3", "linear2", "dropout4")), "norm3")
      },
    ])
}
