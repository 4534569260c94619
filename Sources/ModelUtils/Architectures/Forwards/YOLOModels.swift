import ModelCore

extension Forward {
  /// YOLO's top levels: a list of layers, each of which says by `f` whose outputs it takes.
  static let yoloModels: [String: Forward] = [
    "models.yolo.BaseModel": .routed,
    "models.yolo.Model": .routed,
    "models.yolo.DetectionModel": .routed,
    "models.yolo.SegmentationModel": .routed,
    "models.yolo.ClassificationModel": .routed,
    "models.experimental.Ensemble": Forward { models, x in
      try models.concatenate(
        models.module.children.keys.map { name in
          guard let predictions = try models.call(name, [x]).first else { throw models.missing(name) }
          return predictions
        })
    },
    "ultralytics.nn.tasks.BaseModel": .routed,
    "ultralytics.nn.tasks.DetectionModel": .routed,
    "ultralytics.nn.tasks.SegmentationModel": .routed,
    "ultralytics.nn.tasks.SemanticSegmentationModel": .routed,
    "ultralytics.nn.tasks.PoseModel": .routed,
    "ultralytics.nn.tasks.OBBModel": .routed,
    "ultralytics.nn.tasks.DepthModel": .routed,
    "ultralytics.nn.tasks.ClassificationModel": .routed,
    "ultralytics.nn.tasks.RTDETRDetectionModel": .routed,
    "ultralytics.nn.tasks.YOLOv10DetectionModel": .routed,
  ]

  static let routed = lists { model, inputs in try model.route(inputs) { try model.call($0, $1) } }
}

extension ForwardCall {
  /// Runs the layers of the child `model`, each with the outputs that its `f` names; `run` calls one of them.
  func route(_ inputs: [Value], run: (String, [Value]) throws -> [Value]) throws -> [Value] {
    var outputs: [[Value]] = []
    var current = inputs
    for name in list("model") {
      guard let from = module[name]?.attributes["f"], let sources = from.intValue.map({ [$0] }) ?? from.intsValue
      else { throw ModelError(.missing, "has no usable attribute 'f'", subject: path(of: name)) }
      if sources != [-1] {
        let picks = try picks(of: name)
        current = try sources.enumerated().flatMap { place, source in
          guard source != -1 else { return current }
          let index = source < 0 ? outputs.count + source : source
          guard outputs.indices.contains(index) else {
            throw ModelError(
              .malformed, "takes the output of layer \(source), which is none before it", subject: path(of: name))
          }
          guard let picks, place < sources.count - 1 else { return outputs[index] }
          guard picks.indices.contains(place), outputs[index].indices.contains(picks[place]) else {
            throw ModelError(.malformed, "takes an output that layer \(source) does not have", subject: path(of: name))
          }
          return [outputs[index][picks[place]]]
        }
      }
      current = try run(name, current)
      outputs.append(current)
    }
    return current
  }

  /// Which output of each of its sources, the last excepted, a YOLOv9 fusion takes; nil for other layers, which take
  /// all.
  fileprivate func picks(of layer: String) throws -> [Int]? {
    guard let module = module[layer], module.className.name == "CBFuse" else { return nil }
    guard let picks = module.attributes["idx"]?.intsValue else {
      throw ModelError(.missing, "\(module.className) has no usable attribute 'idx'", subject: path(of: layer))
    }
    return picks
  }
}
