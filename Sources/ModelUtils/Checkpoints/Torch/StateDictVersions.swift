import ModelCore

extension Module {
  /// What PyTorch's `state_dict()` notes of each module under `_metadata`: which layout of tensors its class has, by
  /// path. Only of PyTorch's and torchvision's classes, whose versions are known; some refuse tensors without theirs.
  var stateDictVersions: OrderedDictionary<String, Int> {
    var versions: OrderedDictionary<String, Int> = [:]
    collectVersions("", into: &versions)
    return versions
  }

  private func collectVersions(_ path: String, into versions: inout OrderedDictionary<String, Int>) {
    if let version = stateDictVersion { versions[path] = version }
    for (name, child) in children { child.collectVersions(dotted(path, name), into: &versions) }
  }

  private var stateDictVersion: Int? {
    if let version = attributes["_version"]?.intValue { return version }
    let module = className.module
    if ["torch.nn.modules.batchnorm", "torch.nn.modules.instancenorm"].contains(module) { return 2 }
    guard module.hasPrefix("torch.nn.modules.") || module.hasPrefix("torchvision.") else { return nil }
    return Self.secondVersions.contains("\(className)") ? 2 : 1
  }

  private static let secondVersions: Set<String> = [
    "torchvision.models._utils.IntermediateLayerGetter", "torchvision.models.densenet._DenseBlock",
    "torchvision.models.detection.mask_rcnn.MaskRCNNHeads",
    "torchvision.models.detection.retinanet.RetinaNetClassificationHead",
    "torchvision.models.detection.retinanet.RetinaNetRegressionHead", "torchvision.models.detection.rpn.RPNHead",
    "torchvision.models.mnasnet.MNASNet", "torchvision.models.quantization.mobilenetv3.QuantizableSqueezeExcitation",
    "torchvision.models.vision_transformer.MLPBlock",
    "torchvision.ops.feature_pyramid_network.FeaturePyramidNetwork",
  ]
}

extension PickleGraph {
  /// An empty state dict with what `Module.stateDictVersions` tells.
  mutating func addStateDict(versions: OrderedDictionary<String, Int>) -> Reference {
    let state = addOrderedDict()
    guard !versions.isEmpty, case .call(let index) = nodes[state] else { return state }
    let key = add(.string("version"))
    let metadata = addOrderedDict()
    setEntries(
      versions.map { path, version in
        Entry(key: add(.string(path)), value: add(.dict([Entry(key: key, value: add(.int(version)))])))
      }, of: metadata)
    calls[index].states = [add(.dict([Entry(key: add(.string("_metadata")), value: metadata)]))]
    return state
  }
}

extension PickleGraph {
  /// The text that describes the module whose state dict an object is; nil where there is none.
  func moduleRecord(of state: Reference) -> String? {
    guard case .call(let index) = nodes[state] else { return nil }
    return calls[index].states.lazy.compactMap { value(forKey: ModuleRecord.key, of: $0) }.last.flatMap { text($0) }
  }

  /// Sets it, as an attribute of the OrderedDict, which Python's code passes over. Does nothing for a dict, which can
  /// have none.
  mutating func setModuleRecord(_ record: String?, of state: Reference) {
    guard case .call(let index) = nodes[state], record != nil || moduleRecord(of: state) != nil else { return }
    if calls[index].states.isEmpty { calls[index].states = [add(.dict([]))] }
    guard let attributes = calls[index].states.last else { return }
    change([ModuleRecord.key: record.map { add(.string($0)) }], of: attributes)
  }
}
