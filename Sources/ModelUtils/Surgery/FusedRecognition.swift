import ModelArchitectures
import ModelCheckpoints
import ModelCore

/// Bare state dicts of built-in architectures whose batch norms were fused, here or by the originals.
extension StateDict {
  /// As `recognized()`, of an architecture that was fused, or whose branches were merged first (YOLOv6's deploy form).
  public func recognizedFused() -> RecognizedModel? {
    recognized(among: Architecture.names(ofFusedEntries:)) { try $0.fused() }
      ?? recognized(among: Architecture.names(ofMergedEntries:)) { module in
        var module = module
        try module.reparameterize()
        try module.fuse()
        return module
      }
  }
}

extension Checkpoint {
  /// Takes a preferred model that is the bare state dict of a fused architecture for the module that it is of.
  /// - Returns: the architecture's name; nil where nothing was recognised.
  @discardableResult
  public mutating func recognizeFused() -> String? {
    guard case .stateDict(let state) = preferred, onnx == nil, let known = state.recognizedFused(), known.prefix.isEmpty
    else { return nil }
    describe(as: known.module)
    return known.architecture.name
  }
}

extension Architecture {
  static func names(ofFusedEntries count: Int) -> [String] { names(fusedEntries[count]) }
  static func names(ofMergedEntries count: Int) -> [String] { names(mergedEntries[count]) }

  private static func names(_ text: String?) -> [String] { text?.split(separator: " ").map(String.init) ?? [] }

  /// How many entries the state dict of a fused architecture has. Known beforehand, so that no file is compared with all
  /// of them; a test holds the tables against the architectures themselves.
  private static let fusedEntries: [Int: String] = [
    22: "vgg11_bn",
    26: "vgg13_bn",
    32: "vgg16_bn",
    38: "vgg19_bn",
    42: "resnet18",
    66: "yolov5n-cls yolov5s-cls",
    74: "resnet34",
    94: "yolov5m-cls",
    106: "mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2",
    108: "mobilenet_v3_small regnet_x_800mf resnet50 resnext50_32x4d wide_resnet50_2",
    114: "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0",
    118: "yolov6_tiny_opt yolov6n_opt yolov6s_opt",
    120: "regnet_x_1_6gf",
    121: "yolov5n yolov5s",
    122: "yolov5l-cls",
    127: "yolov5n-seg yolov5s-seg",
    128: "googlenet mobilenet_v3_large",
    144: "regnet_x_16gf regnet_x_400mf yolov6n_base",
    150: "regnet_x_32gf regnet_x_8gf yolov5x-cls",
    152: "regnet_y_800mf",
    159: "yolov5n6 yolov5s6",
    162: "regnet_x_3_2gf",
    164: "efficientnet_b0",
    165: "yolov5m",
    171: "yolov5m-seg",
    172: "regnet_y_400mf",
    182: "regnet_y_8gf",
    192: "regnet_y_16gf",
    196: "inception_v3",
    209: "yolov5l",
    210: "resnet101 resnext101_32x8d resnext101_64x4d wide_resnet101_2",
    212: "regnet_y_32gf",
    215: "yolov5l-seg yolov5m6",
    222: "regnet_y_3_2gf",
    232: "efficientnet_b1 efficientnet_b2",
    246: "yolov6l_mbla yolov6m_mbla yolov6s_mbla",
    253: "yolov5x",
    259: "yolov5x-seg",
    262: "efficientnet_b3",
    271: "yolov5l6",
    282: "regnet_y_128gf regnet_y_1_6gf yolov6s_base",
    302: "yolov6m_base",
    308: "yolov6lite_l yolov6lite_m yolov6lite_s",
    312: "resnet152",
    322: "efficientnet_b4",
    327: "yolov5x6",
    342: "efficientnet_v2_s",
    347: "yolov6l yolov6l_base",
    356: "yolov6_tiny_hs yolov6n_hs yolov6s_hs",
    390: "efficientnet_b5",
    400: "yolov6x_mbla",
    424: "yolov6n_qa yolov6s_qa",
    429: "densenet121",
    450: "efficientnet_b6",
    466: "yolov6l6",
    479: "maxvit_t",
    492: "efficientnet_v2_m",
    544: "yolov6n yolov6s",
    548: "efficientnet_b7",
    569: "densenet161",
    597: "densenet169",
    666: "yolov6m_qa",
    680: "efficientnet_v2_l",
    709: "densenet201",
    718: "yolov6n6 yolov6s6",
    858: "yolov6m",
    1142: "yolov6m6",
  ]

  /// The same where merging branches first makes a difference.
  private static let mergedEntries: [Int: String] = [
    144: "yolov6n yolov6n_qa yolov6s yolov6s_qa",
    190: "yolov6n6 yolov6s6",
    242: "yolov6m yolov6m_qa",
    326: "yolov6m6",
  ]
}
