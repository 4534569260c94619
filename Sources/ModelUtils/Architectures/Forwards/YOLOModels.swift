import ModelCore

extension Forward {
  /// YOLO's top levels: a list of layers, each of which says by `f` whose outputs it takes.
  static let yoloModels: [String: Forward] = [
    "models.yolo.BaseModel": .routed,
    "models.yolo.Model": .routed,
    "models.yolo.DetectionModel": .routed,
    "models.yolo.SegmentationModel": .routed,
    "models.yolo.ClassificationModel": .routed,
  ]

  static let routed = lists { model, inputs in
    var outputs: [[Graph.Value]] = []
    var current = inputs
    for name in model.list("model") {
      guard let from = model.module[name]?.attributes["f"] else { throw model.missing("f") }
      guard let sources = from.intValue.map({ [$0] }) ?? from.intsValue else { throw model.missing("f") }
      if sources != [-1] {
        current = try sources.flatMap { source in
          if source == -1 { return current }
          let index = source < 0 ? outputs.count + source : source
          guard outputs.indices.contains(index) else {
            throw ModelError(
              "takes the output of layer \(source), which is none before it", subject: "\(model.path)\(name)")
          }
          return outputs[index]
        }
      }
      current = try model.call(name, current)
      outputs.append(current)
    }
    return current
  }
}
