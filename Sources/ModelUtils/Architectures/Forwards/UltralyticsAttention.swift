import ModelCore
import ModelGraph

extension Forward {
  /// Ultralytics' blocks with attention: YOLOv10's and YOLO11's, YOLO12's area attention.
  static let ultralyticsAttention = ultralytics(
    "block",
    [
      "Attention": Forward { block, x in
        let (heads, keys, values) = (try block.int("num_heads"), try block.int("key_dim"), try block.int("head_dim"))
        let qkv = try block.reshape(
          block(x, "qkv"),
          [.of(operand: 0, axis: 0), .fixed(heads), .fixed(keys * 2 + values), .inferred])
        let parts = try block.split(qkv, [keys, keys, values], axis: 2)
        let scale = block.module.attributes["scale"] == nil ? 1 / Double(keys).squareRoot() : try block.double("scale")
        func picture(_ tensor: ForwardCall.Value) throws -> ForwardCall.Value {
          try block.reshape(tensor, (0..<4).map { .of(operand: 1, axis: $0) }, like: x)
        }
        let y = try picture(block.attend(parts[0], parts[1], parts[2], scale: scale))
        return try block(block.add(y, block(picture(parts[2]), "pe")), "proj")
      },
      "PSABlock": Forward { block, x in
        func branch(_ x: ForwardCall.Value, _ child: String) throws -> ForwardCall.Value {
          block.isTrue("add") ? try block.add(x, block(x, child)) : try block(x, child)
        }
        return try branch(branch(x, "attn"), "ffn")
      },
      "PSA": Forward { block, x in
        let parts = try block.halves(x)
        let y = try block.add(parts[1], block(parts[1], "attn"))
        return try block(block.concatenate([parts[0], block.add(y, block(y, "ffn"))]), "cv2")
      },
      "C2PSA": Forward { block, x in
        let parts = try block.halves(x)
        return try block(block.concatenate([parts[0], block(parts[1], "m")]), "cv2")
      },
      "AAttn": Forward { block, x in
        let (heads, size, area) = (try block.int("num_heads"), try block.int("head_dim"), try block.int("area"))
        var qkv = try block.permute(block.flatten(block(x, "qkv"), start: 2), [0, 2, 1])
        if area > 1 {
          qkv = try block.reshape(
            qkv,
            [
              .of(operand: 0, axis: 0, multiple: area), .of(operand: 0, axis: 1, divisor: area),
              .of(operand: 0, axis: 2),
            ])
        }
        let spread = try block.reshape(
          qkv, [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(heads), .fixed(size * 3)])
        let parts = try block.split(block.permute(spread, [0, 2, 3, 1]), [size, size, size], axis: 2)
        let scale = 1 / Double(size).squareRoot()
        // Whatever the area, the positions of one picture stand in order.
        func picture(_ tensor: ForwardCall.Value) throws -> ForwardCall.Value {
          let positions = try block.reshape(
            block.permute(tensor, [0, 3, 1, 2]),
            [.of(operand: 1, axis: 0), .of(operand: 1, axis: 2), .of(operand: 1, axis: 3), .inferred], like: x)
          return try block.permute(positions, [0, 3, 1, 2])
        }
        let y = try picture(block.attend(parts[0], parts[1], parts[2], scale: scale))
        return try block(block.add(y, block(picture(parts[2]), "pe")), "proj")
      },
      "ABlock": Forward { block, x in
        let y = try block.add(x, block(x, "attn"))
        return try block.add(y, block(y, "mlp"))
      },
      "A2C2f": Forward { block, x in
        let y = try block(block.concatenate(block.successive(block.list("m"), from: [block(x, "cv1")])), "cv2")
        guard let gamma = block.optionalWeight("gamma") else { return y }
        let scale = try block.reshape(gamma, [.fixed(1), .inferred, .fixed(1), .fixed(1)])
        return try block.add(x, block.multiply(scale, y))
      },
    ])
}

extension ForwardCall {
  /// `split` of the child `cv1` into two parts of `c` channels.
  fileprivate func halves(_ x: Value) throws -> [Value] {
    let channels = try int("c")
    return try split(self(x, "cv1"), [channels, channels])
  }

  /// Attention of queries, keys and values that are [batch, heads, features, positions].
  fileprivate func attend(_ queries: Value, _ keys: Value, _ values: Value, scale: Double) throws -> Value {
    let scores = try matrixProduct(permute(multiply(queries, scale), [0, 1, 3, 2]), keys)
    return try matrixProduct(values, permute(softmax(scores, axis: -1), [0, 1, 3, 2]))
  }
}
