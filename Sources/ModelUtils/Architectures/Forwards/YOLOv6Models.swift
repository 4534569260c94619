import ModelCore
import ModelGraph

extension Forward {
  /// YOLOv6's backbones, necks and head, from 0.2 to 0.4.
  static let yolov6Models: [String: Forward] = [
    "yolov6.models.yolo.Model": .lists { model, inputs in
      let features = try model.call("neck", model.call("backbone", inputs))
      return try model.call("detect", features) + features
    },
    "yolov6.models.efficientrep.EfficientRep": .stages(2...5),
    "yolov6.models.efficientrep.EfficientRep6": .stages(2...6),
    "yolov6.models.efficientrep.CSPBepBackbone": .stages(2...5),
    // Whatever the attribute says.
    "yolov6.models.efficientrep.CSPBepBackbone_P6": .stages(2...6, fromSecond: true),
    "yolov6.models.reppan.RepPANNeck": .pathAggregation(fusing: false),
    "yolov6.models.reppan.CSPRepPANNeck": .pathAggregation(fusing: false),
    "yolov6.models.reppan.RepBiFPANNeck": .pathAggregation(fusing: true),
    "yolov6.models.reppan.CSPRepBiFPANNeck": .pathAggregation(fusing: true),
    "yolov6.models.reppan.RepPANNeck6": .pathAggregation(fusing: false, levels: 4),
    "yolov6.models.reppan.CSPRepPANNeck_P6": .pathAggregation(fusing: false, levels: 4),
    "yolov6.models.reppan.RepBiFPANNeck6": .pathAggregation(fusing: true, levels: 4),
    "yolov6.models.reppan.CSPRepBiFPANNeck_P6": .pathAggregation(fusing: true, levels: 4),
  ]

  /// A stem and stages, whose outputs are given from the third on, or from the second where a neck fuses that too.
  private static func stages(_ stages: ClosedRange<Int>, fromSecond: Bool = false) -> Forward {
    .lists { net, inputs in
      let names = stages.map { "ERBlock_\($0)" }
      let outputs = try net.successive(names, from: [net(net.only(inputs), "stem")])
      return Array(outputs.dropFirst(fromSecond || net.isTrue("fuse_P2") ? 1 : 2))
    }
  }

  /// Down from the coarsest level and up again; the outputs are given from the finest on.
  /// - Parameter fusing: whether levels meet in a BiFusion of three instead of being joined.
  private static func pathAggregation(fusing: Bool, levels count: Int = 3) -> Forward {
    .lists { neck, inputs in
      try neck.check(inputs, count: fusing ? count + 1 : count)
      let levels = Array(inputs.reversed())
      func meet(_ x: Graph.Value, _ level: Int) throws -> Graph.Value {
        try fusing
          ? neck([x, levels[level + 1], levels[level + 2]], "Bifusion\(level)")
          : neck.concatenate([neck(x, "upsample\(level)"), levels[level + 1]])
      }
      // The finest level that it gives is the third of the pyramid.
      let top = count + 2
      var laterals: [Graph.Value] = []
      var x = levels[0]
      for level in 0..<count - 1 {
        laterals.append(try neck(x, "reduce_layer\(level)"))
        x = try neck(meet(laterals[level], level), "Rep_p\(top - 1 - level)")
      }
      // With three levels the blocks of the way back are counted from the third on, and the coarsest meets "1".
      let (first, offset) = count == 3 ? (3, 1) : (4, 0)
      var outputs = [x]
      for (step, level) in (0..<count - 1).reversed().enumerated() {
        let joined = try neck.concatenate([neck(outputs[step], "downsample\(level + offset)"), laterals[level]])
        outputs.append(try neck(joined, "Rep_n\(first + step)"))
      }
      return outputs
    }
  }
}
