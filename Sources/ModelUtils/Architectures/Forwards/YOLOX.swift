import ModelCore
import ModelGraph

extension Forward {
  /// YOLOX's blocks, backbones, necks and head. In training the head gives losses, which need the pictures' boxes.
  static let yolox: [String: Forward] = [
    "yolox.models.network_blocks.SiLU": Forward { try $0.unary(.silu, $1) },
    "yolox.models.network_blocks.BaseConv": .chain("conv", "bn", "act"),
    "yolox.models.network_blocks.BaseConv.fuseforward": .chain("conv", "act"),
    "yolox.models.network_blocks.DWConv": .chain("dconv", "pconv"),
    "yolox.models.network_blocks.Focus": .focus,
    "yolox.models.network_blocks.Bottleneck": Forward { block, x in
      let y = try block(x, "conv1", "conv2")
      return try block.bool("use_add") ? block.add(y, x) : y
    },
    "yolox.models.network_blocks.ResLayer": Forward { try $0.add($1, $0($1, "layer1", "layer2")) },
    "yolox.models.network_blocks.SPPBottleneck": Forward { block, x in
      let x = try block(x, "conv1")
      return try block(block.concatenate([x] + block.list("m").map { try block(x, $0) }), "conv2")
    },
    "yolox.models.network_blocks.CSPLayer": Forward { block, x in
      try block(block.concatenate([block(x, "conv1", "m"), block(x, "conv2")]), "conv3")
    },
    "yolox.models.darknet.Darknet": .namedStages,
    "yolox.models.darknet.CSPDarknet": .namedStages,
    "yolox.models.yolo_pafpn.YOLOPAFPN": .lists { neck, inputs in
      let (fine, middle, coarse) = try neck.backboneLevels(inputs)
      let first = try neck(coarse, "lateral_conv0")
      let joined = try neck(neck.concatenate([neck(first, "upsample"), middle]), "C3_p4")
      let second = try neck(joined, "reduce_conv1")
      let p3 = try neck(neck.concatenate([neck(second, "upsample"), fine]), "C3_p3")
      let p4 = try neck(neck.concatenate([neck(p3, "bu_conv2"), second]), "C3_n3")
      return [p3, p4, try neck(neck.concatenate([neck(p4, "bu_conv1"), first]), "C3_n4")]
    },
    "yolox.models.yolo_fpn.YOLOFPN": .lists { neck, inputs in
      let (fine, middle, coarse) = try neck.backboneLevels(inputs)
      let second = try neck(neck.concatenate([neck(coarse, "out1_cbl", "upsample"), middle]), "out1")
      return [try neck(neck.concatenate([neck(second, "out2_cbl", "upsample"), fine]), "out2"), second, coarse]
    },
    "yolox.models.yolo_head.YOLOXHead": Forward.lists { [try $0.yoloxDetections($1)] }.inferenceOnly,
    "yolox.models.yolox.YOLOX": Forward.lists { model, inputs in
      try model.call("head", model.call("backbone", inputs))
    }.inferenceOnly,
  ]

  /// A stem and four stages, of which those that the attribute names are given.
  private static let namedStages = lists { net, inputs in
    let wanted = try net.strings("out_features")
    let names = ["stem", "dark2", "dark3", "dark4", "dark5"]
    let outputs = try net.successive(names, from: [net.only(inputs)]).dropFirst()
    return zip(names, outputs).filter { wanted.contains($0.0) }.map(\.1)
  }
}

extension ForwardCall {
  /// - Throws: `ModelError` where the attribute is missing or no list of texts.
  fileprivate func strings(_ attribute: String) throws -> [String] {
    switch module.attributes[attribute] {
    case .list(let items), .tuple(let items):
      let texts = items.compactMap(\.stringValue)
      guard texts.count == items.count else { throw missing(attribute) }
      return texts
    default: throw missing(attribute)
    }
  }

  /// The three levels of the child `backbone` that a neck names, the finest first.
  fileprivate func backboneLevels(_ inputs: [Value]) throws -> (Value, Value, Value) {
    let outputs = try call("backbone", inputs)
    let named = try module["backbone"].map {
      try ForwardCall(tracer: tracer, module: $0, path: path(of: "backbone"), scope: scope).strings("out_features")
    }
    let order = ["stem", "dark2", "dark3", "dark4", "dark5"].filter { named?.contains($0) == true }
    let levels = try strings("in_features").map { name in
      guard let place = order.firstIndex(of: name), outputs.indices.contains(place) else {
        throw missing("in_features")
      }
      return outputs[place]
    }
    guard levels.count == 3 else { throw missing("in_features") }
    return (levels[0], levels[1], levels[2])
  }

  /// For each position of all levels a box (middle, size), a confidence and the classes' scores, [batch, positions, 5 +
  /// classes]; in pixels, or as they are predicted where the head does not decode.
  fileprivate func yoloxDetections(_ inputs: [Value]) throws -> Value {
    let strides = try doubles("strides")
    guard strides.count == inputs.count, list("stems").count == inputs.count, !inputs.isEmpty else {
      throw missing("strides")
    }
    guard try int("n_anchors") == 1 else { throw missing("n_anchors") }
    let decodes = try bool("decode_in_inference")
    let levels = try inputs.enumerated().map { index, input in
      let x = try self(input, "stems.\(index)")
      let scores = try sigmoid(self(x, "cls_convs.\(index)", "cls_preds.\(index)"))
      let features = try self(x, "reg_convs.\(index)")
      var box = try self(features, "reg_preds.\(index)")
      let confidence = try sigmoid(self(features, "obj_preds.\(index)"))
      if decodes {
        let parts = try split(box, [2, 2])
        let middle = try add(parts[0], grid(input, rows: 2, columns: 3, stackedOn: 1))
        box = try multiply(concatenate([middle, unary(.exp, parts[1])]), strides[index])
      }
      return try flatten(concatenate([box, confidence, scores]), start: 2)
    }
    return try permute(concatenate(levels, axis: 2), [0, 2, 1])
  }
}
