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
  ]

  static let routed = lists { model, inputs in
    var outputs: [[Graph.Value]] = []
    var current = inputs
    for name in model.list("model") {
      guard let from = model.module[name]?.attributes["f"], let sources = from.intValue.map({ [$0] }) ?? from.intsValue
      else { throw ModelError("has no usable attribute 'f'", subject: model.path(of: name)) }
      if sources != [-1] {
        let picks = try model.picks(of: name)
        current = try sources.enumerated().flatMap { place, source in
          guard source != -1 else { return current }
          let index = source < 0 ? outputs.count + source : source
          guard outputs.indices.contains(index) else {
            throw ModelError(
              "takes the output of layer \(source), which is none before it", subject: model.path(of: name))
          }
          guard let picks, place < sources.count - 1 else { return outputs[index] }
          guard picks.indices.contains(place), outputs[index].indices.contains(picks[place]) else {
            throw ModelError("takes an output that layer \(source) does not have", subject: model.path(of: name))
          }
          return [outputs[index][picks[place]]]
        }
      }
      current = try model.call(name, current)
      outputs.append(current)
    }
    return current
  }
}

extension ForwardCall {
  /// Which output of each of its sources, the last excepted, a YOLOv9 fusion takes; nil for other layers, which take
  /// all.
  fileprivate func picks(of layer: String) throws -> [Int]? {
    guard let module = module[layer], module.className.name == "CBFuse" else { return nil }
    guard let picks = module.attributes["idx"]?.intsValue else {
      throw ModelError("\(module.className) has no usable attribute 'idx'", subject: path(of: layer))
    }
    return picks
  }
}
