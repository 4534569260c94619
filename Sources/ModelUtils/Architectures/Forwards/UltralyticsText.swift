import ModelCore
import ModelGraph

/// YOLO-World's and YOLOE's models, which look for what texts name. The embeddings of the texts, [1, texts, features],
/// are the model's own attribute.
extension Forward {
  static let ultralyticsTextModels: [String: Forward] = [
    "ultralytics.nn.tasks.WorldModel": Forward.lists { model, inputs in
      let original = try model.texts("txt_feats", like: inputs)
      var texts = original
      return try model.route(inputs) { name, values in
        switch model.module[name]?.className.name {
        case "C2fAttn": return try model.call(name, values + [texts])
        case "WorldDetect": return try model.call(name, values + [original])
        case "ImagePoolingAttn":
          texts = try model(values + [texts], name)
          return values
        default: return try model.call(name, values)
        }
      }
    }.leaving("clip_model").leavingInTraining("clip_model"),
    "ultralytics.nn.tasks.YOLOEModel": .promptedByTexts,
    "ultralytics.nn.tasks.YOLOESegModel": .promptedByTexts,
  ]

  private static let promptedByTexts = Forward.lists { model, inputs in
    try model.route(inputs) { name, values in
      let heads: Set = ["YOLOEDetect", "YOLOESegment", "YOLOESegment26"]
      guard let className = model.module[name]?.className.name, heads.contains(className) else {
        return try model.call(name, values)
      }
      return try model.call(name, values + [model.texts("pe", like: inputs, default: [1, 80, 512])])
    }
  }.leaving("clip_model").leavingInTraining("clip_model")

  static let ultralyticsTextBlocks = ultralytics(
    "block",
    [
      // A picture and texts.
      "MaxSigmoidAttnBlock": .list { block, inputs in
        try block.check(inputs, count: 2)
        let (heads, size) = (try block.int("nh"), try block.int("hc"))
        let texts = try block.reshape(
          block(inputs[1], "gl"),
          [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(heads), .fixed(size)])
        let embedded = block.has("ec") ? try block(inputs[0], "ec") : inputs[0]
        let positions = try block.reshape(
          embedded, [.of(operand: 0, axis: 0), .fixed(heads), .fixed(size), .inferred])
        let scores = try block.max(
          block.matrixProduct(block.permute(positions, [0, 1, 3, 2]), block.permute(texts, [0, 2, 3, 1])), axis: -1)
        let bias = try block.reshape(block.weight("bias"), [.fixed(heads), .fixed(1), .fixed(1)])
        let picture = try block.reshape(
          scores,
          [.of(operand: 0, axis: 0), .fixed(heads), .of(operand: 1, axis: 2), .of(operand: 1, axis: 3)],
          like: inputs[0])
        var weights = try block.sigmoid(
          block.add(block.divide(picture, block.constant([Double(size).squareRoot()], [])), bias))
        if let scale = block.optionalWeight("scale") { weights = try block.multiply(weights, scale) }
        let y = try block(inputs[0], "proj_conv")
        // Each head's weights for all of its channels.
        let split = try block.reshape(
          y,
          [.of(operand: 0, axis: 0), .fixed(heads), .inferred, .of(operand: 0, axis: 2), .of(operand: 0, axis: 3)])
        let shared = try block.reshape(
          weights,
          [
            .of(operand: 0, axis: 0), .fixed(heads), .fixed(1), .of(operand: 0, axis: 2), .of(operand: 0, axis: 3),
          ])
        return try block.flatten(block.multiply(split, shared), start: 1, end: 2)
      },
      "C2fAttn": .c2fAttention,
      "C2fAttn.forward_split": .c2fAttention,
      // Pictures, then texts.
      "ImagePoolingAttn": .list { block, inputs in
        let (heads, size) = (try block.int("nh"), try block.int("hc"))
        let projections = block.list("projections")
        try block.check(inputs, count: projections.count + 1)
        let texts = inputs[inputs.count - 1]
        let patches = try zip(projections, inputs).enumerated().map { place, pair in
          try block.flatten(block(pair.1, pair.0, "im_pools.\(place)"), start: 2)
        }
        let pictures = try block.permute(block.concatenate(patches, axis: -1), [0, 2, 1])
        func spread(_ x: ForwardCall.Value, _ child: String) throws -> ForwardCall.Value {
          try block.reshape(block(x, child), [.of(operand: 0, axis: 0), .inferred, .fixed(heads), .fixed(size)])
        }
        let (queries, keys) = (try spread(texts, "query"), try spread(pictures, "key"))
        let values = try spread(pictures, "value")
        let scores = try block.divide(
          block.emit(.einsum("bnmc,bkmc->bmnk"), queries, keys),
          block.constant([Double(size).squareRoot()], []))
        let attended = try block.emit(.einsum("bmnk,bkmc->bnmc"), block.softmax(scores, axis: -1), values)
        var y = try block(block.flatten(attended, start: 2), "proj")
        if let scale = block.optionalWeight("scale") { y = try block.multiply(y, scale) }
        return try block.add(y, texts)
      },
      "ContrastiveHead": .list { head, inputs in
        try head.check(inputs, count: 2)
        return try head.similarity(head.normalize(inputs[0], axis: 1), inputs[1])
      },
      "BNContrastiveHead": .list { head, inputs in
        try head.check(inputs, count: 2)
        return try head.similarity(head(inputs[0], "norm"), inputs[1])
      },
      // The texts went into the convolution before it.
      "BNContrastiveHead.forward_fuse": .list { head, inputs in
        try head.check(inputs, count: 2)
        return inputs[0]
      },
      "SwiGLUFFN": Forward { block, x in
        let parts = try block.chunks(block(x, "w12"), 2, axis: -1)
        return try block(block.multiply(block.unary(.silu, parts[0]), parts[1]), "w3")
      },
      "Residual": Forward { block, x in try block.add(x, block(x, "m")) },
    ])

  private static let c2fAttention = Forward.list { block, inputs in
    try block.check(inputs, count: 2)
    var values = try block.successive(block.list("m"), from: block.chunks(block(inputs[0], "cv1"), 2))
    values.append(try block([values[values.count - 1], inputs[1]], "attn"))
    return try block(block.concatenate(values), "cv2")
  }
}

extension ForwardCall {
  /// The embeddings of texts among the attributes, for each picture of a batch; zeros of the default shape where there
  /// are none.
  fileprivate func texts(_ attribute: String, like inputs: [Value], default shape: [Int]? = nil) throws -> Value {
    let texts: Value
    switch module.attributes[attribute] {
    case .tensor(let held) where held.tensor.shape.count == 3:
      texts =
        held.tensor.dtype == .float32
        ? tracer.graph.addConstant(held.tensor) : try constant(held.tensor.doubles(), held.tensor.shape)
    case nil:
      guard let shape else { throw missing(attribute) }
      texts = try expand(constant([0]), shape.map { .fixed($0) })
    default: throw missing(attribute)
    }
    return try expand(
      texts, [.of(operand: 1, axis: 0), .of(operand: 0, axis: 1), .of(operand: 0, axis: 2)], like: only(inputs))
  }

  /// How much each position of a picture resembles each text, [batch, texts, height, width].
  fileprivate func similarity(_ picture: Value, _ texts: Value) throws -> Value {
    let products = try matrixProduct(normalize(texts, axis: -1), flatten(picture, start: 2))
    let scores = try reshape(
      products,
      [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .of(operand: 1, axis: 2), .of(operand: 1, axis: 3)],
      like: picture)
    return try add(multiply(scores, unary(.exp, weight("logit_scale"))), weight("bias"))
  }
}
