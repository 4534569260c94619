import ModelCore
import ModelGraph

extension Forward {
  /// FCN, DeepLabV3 and LR-ASPP: what they give by name is given in that order, the picture first.
  static let torchvisionSegmentation: [String: Forward] = [
    "torchvision.models.segmentation.fcn.FCN": .segmentation,
    "torchvision.models.segmentation.deeplabv3.DeepLabV3": .segmentation,
    "torchvision.models.segmentation.fcn.FCNHead": .sequential,
    "torchvision.models.segmentation.deeplabv3.DeepLabHead": .sequential,
    "torchvision.models.segmentation.deeplabv3.ASPPConv": .sequential,
    "torchvision.models.segmentation.deeplabv3.ASPPPooling": Forward { pooling, x in
      let y = try pooling.chain(x, Array(pooling.module.children.keys))
      return try pooling.resize(y, like: x, mode: .linear)
    },
    "torchvision.models.segmentation.deeplabv3.ASPP": Forward { block, x in
      try block(block.concatenate(block.list("convs").map { try block(x, $0) }), "project")
    },
    "torchvision.models.segmentation.lraspp.LRASPP": Forward { net, x in
      let features = try net.named("backbone", x)
      return try net.resize(net([features("low"), features("high")], "classifier"), like: x, mode: .linear)
    },
    "torchvision.models.segmentation.lraspp.LRASPPHead": .list { head, inputs in
      try head.check(inputs, count: 2)
      let (low, high) = (inputs[0], inputs[1])
      let y = try head.multiply(head(high, "cbr"), head(high, "scale"))
      return try head.add(
        head(low, "low_classifier"), head(head.resize(y, like: low, mode: .linear), "high_classifier"))
    },
    "torchvision.models._utils.IntermediateLayerGetter": .lists { net, inputs in
      let returned = net.module.returnedLayers
      var (x, outputs) = (try net.only(inputs), [Graph.Value]())
      for name in net.module.children.keys {
        x = try net(x, name)
        if returned[name] != nil { outputs.append(x) }
      }
      return outputs
    },
  ]

  private static let segmentation = Forward.lists { net, inputs in
    let x = try net.only(inputs)
    let features = try net.named("backbone", x)
    var outputs = [try net.resize(net(features("out"), "classifier"), like: x, mode: .linear)]
    if net.has("aux_classifier") {
      outputs.append(try net.resize(net(features("aux"), "aux_classifier"), like: x, mode: .linear))
    }
    return outputs
  }
}

extension Module {
  /// For each child whose output is given its name there.
  fileprivate var returnedLayers: [String: String] {
    guard let entries = attributes["return_layers"]?.entriesValue else { return [:] }
    return entries.reduce(into: [:]) { names, entry in
      if let child = entry.key.stringValue, let name = entry.value.stringValue { names[child] = name }
    }
  }
}

extension ForwardCall {
  /// Calls a child that gives several tensors by name.
  fileprivate func named(_ child: String, _ x: Value) throws -> (String) throws -> Value {
    let outputs = try call(child, [x])
    let returned = module[child]?.returnedLayers ?? [:]
    let names = module[child]?.children.keys.compactMap { returned[$0] } ?? []
    guard names.count == outputs.count else { throw missing(child) }
    return { name in
      guard let index = names.firstIndex(of: name) else {
        throw ModelError(.missing, "gives no '\(name)'", subject: path(of: child))
      }
      return outputs[index]
    }
  }
}
