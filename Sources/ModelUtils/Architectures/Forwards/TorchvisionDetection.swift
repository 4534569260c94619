import ModelCore
import ModelGraph

extension Forward {
  /// torchvision's detectors, from pictures that are already normalised and batched to what the heads give.
  ///
  /// R-CNNs give the proposals' logits of every level, their deltas of every level, and the features of every level, of
  /// which the RoI heads cut boxes; RetinaNet logits [batch, anchors, classes] and deltas [batch, anchors, 4]; FCOS
  /// centerness besides; SSD deltas, then logits. Boxes are neither decoded nor suppressed.
  static let torchvisionDetection: [String: Forward] = [
    "torchvision.models.detection.generalized_rcnn.GeneralizedRCNN": .regionProposals,
    "torchvision.models.detection.faster_rcnn.FasterRCNN": .regionProposals,
    "torchvision.models.detection.mask_rcnn.MaskRCNN": .regionProposals,
    "torchvision.models.detection.keypoint_rcnn.KeypointRCNN": .regionProposals,
    "torchvision.models.detection.retinanet.RetinaNet": .oneStage,
    "torchvision.models.detection.fcos.FCOS": .oneStage,
    "torchvision.models.detection.ssd.SSD": .oneStage,
    "torchvision.models.detection.rpn.RegionProposalNetwork": .lists { try $0.call("head", $1) },
    "torchvision.models.detection.rpn.RPNHead": .lists { head, levels in
      // A convolution and a function until 0.12.
      var isBare = false
      if case .convolution? = head.module["conv"]?.layer { isBare = true }
      let hidden = try levels.map { isBare ? try head.relu(head($0, "conv")) : try head($0, "conv") }
      return try hidden.map { try head($0, "cls_logits") } + hidden.map { try head($0, "bbox_pred") }
    },
    "torchvision.models.detection.retinanet.RetinaNetHead": .heads("classification_head", "regression_head"),
    "torchvision.models.detection.retinanet.RetinaNetClassificationHead": .anchorRows("cls_logits", of: "num_classes"),
    "torchvision.models.detection.retinanet.RetinaNetRegressionHead": .anchorRows("bbox_reg"),
    "torchvision.models.detection.fcos.FCOSHead": .heads("classification_head", "regression_head"),
    "torchvision.models.detection.fcos.FCOSClassificationHead": .anchorRows("cls_logits", of: "num_classes"),
    "torchvision.models.detection.fcos.FCOSRegressionHead": .lists { head, levels in
      let hidden = try levels.map { try head($0, "conv") }
      let deltas = try hidden.map { try head.rows(head.relu(head($0, "bbox_reg")), width: 4) }
      let centers = try hidden.map { try head.rows(head($0, "bbox_ctrness"), width: 1) }
      return [try head.concatenate(deltas), try head.concatenate(centers)]
    },
    "torchvision.models.detection.ssd.SSDHead": .heads("regression_head", "classification_head"),
    "torchvision.models.detection.ssd.SSDClassificationHead": .scoring,
    "torchvision.models.detection.ssd.SSDRegressionHead": .scoring,
    "torchvision.models.detection.ssdlite.SSDLiteHead": .heads("regression_head", "classification_head"),
    "torchvision.models.detection.ssdlite.SSDLiteClassificationHead": .scoring,
    "torchvision.models.detection.ssdlite.SSDLiteRegressionHead": .scoring,
  ]
  .merging(backbones) { first, _ in first }.merging(regionHeads) { first, _ in first }

  /// What gives several maps of features.
  private static let backbones: [String: Forward] = [
    "torchvision.models.detection.backbone_utils.BackboneWithFPN": .lists { try $0.call("fpn", $0.call("body", $1)) },
    "torchvision.ops.feature_pyramid_network.FeaturePyramidNetwork": .lists { pyramid, inputs in
      let (inner, outer) = (pyramid.list("inner_blocks"), pyramid.list("layer_blocks"))
      guard inner.count == inputs.count, outer.count == inputs.count else { throw pyramid.missing("inner_blocks") }
      var results: [Graph.Value] = []
      var last: Graph.Value?
      for (index, input) in inputs.enumerated().reversed() {
        var lateral = try pyramid(input, inner[index])
        if let last { lateral = try pyramid.add(lateral, pyramid.resize(last, like: lateral)) }
        results.insert(try pyramid(lateral, outer[index]), at: 0)
        last = lateral
      }
      return pyramid.has("extra_blocks") ? try pyramid.call("extra_blocks", results + inputs) : results
    },
    // Further levels of [results…, inputs…].
    "torchvision.ops.feature_pyramid_network.LastLevelMaxPool": .lists { pool, inputs in
      let results = Array(inputs.prefix(inputs.count / 2))
      guard let last = results.last else { throw ModelError(.mismatch, "has no input", subject: pool.path) }
      return results + [try pool.maxPool(last, kernel: 1, stride: 2)]
    },
    "torchvision.ops.feature_pyramid_network.LastLevelP6P7": .lists { block, inputs in
      let results = Array(inputs.prefix(inputs.count / 2))
      guard let last = results.last, let deepest = inputs.last else {
        throw ModelError(.mismatch, "has no input", subject: block.path)
      }
      let sixth = try block(block.bool("use_P5") ? last : deepest, "p6")
      return results + [sixth, try block(block.relu(sixth), "p7")]
    },
    "torchvision.models.detection.ssd.SSDFeatureExtractorVGG": .lists { net, inputs in
      let x = try net(net.only(inputs), "features")
      let weight = try net.reshape(net.weight("scale_weight"), [.fixed(1), .inferred, .fixed(1), .fixed(1)])
      return try [net.multiply(weight, net.normalize(x, axis: 1))] + net.stages(x, net.list("extra"))
    },
    "torchvision.models.detection.ssdlite.SSDLiteFeatureExtractorMobileNet": .lists { net, inputs in
      try net.stages(net.only(inputs), net.list("features") + net.list("extra"))
    },
  ]

  /// What runs for every box, each on its own.
  private static let regionHeads: [String: Forward] = [
    "torchvision.models.detection.faster_rcnn.TwoMLPHead": Forward { head, x in
      try head.relu(head(head.relu(head(head.flatten(x), "fc6")), "fc7"))
    },
    "torchvision.models.detection.faster_rcnn.FastRCNNConvFCHead": .sequential,
    "torchvision.models.detection.faster_rcnn.FastRCNNPredictor": .lists { head, inputs in
      let x = try head.flatten(head.only(inputs))
      return [try head(x, "cls_score"), try head(x, "bbox_pred")]
    },
    "torchvision.models.detection.mask_rcnn.MaskRCNNHeads": .sequential,
    "torchvision.models.detection.mask_rcnn.MaskRCNNPredictor": .sequential,
    "torchvision.models.detection.keypoint_rcnn.KeypointRCNNHeads": .sequential,
    "torchvision.models.detection.keypoint_rcnn.KeypointRCNNPredictor": Forward { head, x in
      try head.resize(head(x, "kps_score_lowres"), scale: head.double("up_scale"), mode: .linear)
    },
  ]

  // MARK: Parts

  private static let regionProposals = Forward.lists { net, inputs in
    net.omit("transform", "the pictures are taken as it leaves them")
    net.omit("roi_heads", "how often it runs depends on the boxes that are proposed")
    let features = try net.call("backbone", inputs)
    return try net.call("rpn", features) + features
  }.leaving("roi_heads").leavingInTraining("roi_heads")

  private static let oneStage = Forward.lists { net, inputs in
    net.omit("transform", "the pictures are taken as it leaves them")
    return try net.call("head", net.call("backbone", inputs))
  }

  /// Children that take all levels, one after the other.
  private static func heads(_ names: String...) -> Forward {
    .lists { head, levels in try names.flatMap { try head.call($0, levels) } }
  }

  /// The same convolutions at every level, with a row for each anchor, as wide as an attribute says or as a box.
  private static func anchorRows(_ child: String, of width: String? = nil) -> Forward {
    .list { head, levels in
      let width = try width.map { try head.int($0) } ?? 4
      return try head.concatenate(levels.map { try head.rows(head($0, "conv", child), width: width) })
    }
  }

  /// At each level a convolution of its own.
  private static let scoring = Forward.list { head, levels in
    let (modules, width) = (head.list("module_list"), try head.int("num_columns"))
    guard modules.count == levels.count else { throw head.missing("module_list") }
    return try head.concatenate(zip(levels, modules).map { try head.rows(head($0, $1), width: width) })
  }
}

extension ForwardCall {
  /// What each of several children gives of the one's before it.
  fileprivate func stages(_ x: Value, _ children: [String]) throws -> [Value] {
    var x = x
    return try children.map { child in
      x = try self(x, child)
      return x
    }
  }

  /// [batch, anchors · width, height, width] as one row for each anchor at each place.
  fileprivate func rows(_ x: Value, width: Int) throws -> Value {
    guard width > 0 else { throw ModelError(.unsupported, "has rows of \(width) elements", subject: path) }
    let spread = try reshape(
      x,
      [.of(operand: 0, axis: 0), .inferred, .fixed(width), .of(operand: 0, axis: 2), .of(operand: 0, axis: 3)])
    return try reshape(permute(spread, [0, 3, 4, 1, 2]), [.of(operand: 0, axis: 0), .inferred, .fixed(width)])
  }
}
