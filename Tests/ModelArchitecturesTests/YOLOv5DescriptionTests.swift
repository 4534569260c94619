import ModelArchitectures
import ModelCore
import TestSupport
import Testing

/// YOLOv5's descriptions: what is built of them, and every refusal with its line.
@Suite struct YOLOv5DescriptionTests {
  private func architecture(_ text: String) throws -> Architecture {
    try Architecture(yaml: FileBytes(name: "net.yaml", copying: Array(text.utf8)))
  }

  private func description(
    _ layers: [String], head: String = "[[-1], 1, Detect, [nc, anchors]]", settings: String = ""
  ) -> String {
    """
    nc: 2
    depth_multiple: 0.5  # half
    width_multiple: 1
    anchors: 1
    \(settings)
    backbone:
      - \(layers.joined(separator: "\n  - "))
    head:
      - \(head)
    """
  }

  private func refusal(_ text: String) -> String? {
    do {
      _ = try architecture(text).module()
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test func aSmallNet() throws {
    let net = try architecture(
      description(["[-1, 1, Conv, [8, 3, 2]]", "[-1, 5, C3, [16, False]]", "[-1, 3, nn.BatchNorm2d, []]"]))
    #expect(net.name == "net.yaml" && net.defaultClasses == 2)
    let module = try net.module()
    #expect(module["model.0.conv"]?.parameters["weight"]?.tensor.shape == [8, 3, 3, 3])
    #expect(module["model.1.m"]?.children.count == 2, "5 halves are 2.5, which Python rounds to 2")
    #expect(module["model.1.m.0"]?.attributes["add"] == .bool(false))
    #expect(module["model.2"]?.children.count == 2)
    #expect(module["model.2"]?.attributes["type"] == .string("torch.nn.modules.batchnorm.BatchNorm2d"))
    #expect(module["model.3"]?.attributes["stride"]?.doublesValue == [2])
    #expect(module["model.3.m.0"]?.parameters["bias"]?.tensor.shape == [7])
    #expect(try module["model.3"]?.buffers["anchors"]?.floats() == [0, 0.5])
    #expect(try module["model.0.bn"]?.buffers["running_var"]?.floats().first == 0.9)
    #expect(try module["model.0.bn"]?.buffers["num_batches_tracked"]?.doubles() == [1])
  }

  /// The description stays in the module as Python reads it, entries that nobody knows too.
  @Test func theDescriptionIsAnAttribute() throws {
    let net = try architecture(
      description(
        ["[-1, 1, Conv, [8, 3, 2]]", "[-1, 1, nn.Upsample, [None, 2, 'nearest']]"],
        settings: "inplace: no\nown: {a: [1.5, ~, None, x], b: '7', c: 1e3, d: 010, 5: e}"))
    let module = try net.module(classes: 4)
    let entries = try #require(module.attributes["yaml"]?.entriesValue)
    let values = Dictionary(uniqueKeysWithValues: entries.map { ($0.key.stringValue ?? "", $0.value) })
    #expect(values["nc"] == .int(4) && values["ch"] == .int(3) && entries.last?.key == .string("ch"))
    #expect(values["inplace"] == .bool(false))
    #expect(
      values["own"]
        == .dict([
          .init(key: .string("a"), value: .list([.double(1.5), .none, .string("None"), .string("x")])),
          .init(key: .string("b"), value: .string("7")), .init(key: .string("c"), value: .opaque("1e3")),
          .init(key: .string("d"), value: .opaque("010")), .init(key: .opaque("the key 5"), value: .string("e")),
        ]))
    #expect(module.attributes["yaml_file"] == .string("net.yaml"))
    guard case .list(let rows)? = values["backbone"], case .list(let row) = rows[1] else {
      Issue.record("no backbone")
      return
    }
    #expect(row[3] == .list([.string("None"), .int(2), .string("nearest")]))
  }

  @Test func settings() throws {
    let net = try architecture(
      description(
        ["[-1, 1, Conv, [8, 3, 2]]"],
        settings: "ch: 1\nactivation: nn.LeakyReLU(0.2)\ninplace: False\nunknown: {a: [1, 2]}"))
    let module = try net.module(classes: 4)
    #expect(module["model.0.conv"]?.parameters["weight"]?.tensor.shape == [8, 1, 3, 3])
    #expect(module["model.0.act"]?.attributes["negative_slope"] == .double(0.2))
    #expect(module["model.1"]?.attributes["nc"] == .int(4))
    #expect(module["model.1"]?.attributes["inplace"] == .bool(false))
  }

  @Test func anchorsFollowTheStrides() throws {
    let text = description(
      ["[-1, 1, Conv, [8, 3, 2]]", "[-1, 1, Conv, [8, 3, 2]]"], head: "[[0, 1], 1, Detect, [nc, anchors]]"
    ).replacing("anchors: 1", with: "anchors:\n  - [40, 20]\n  - [2, 4]")
    let module = try architecture(text).module()
    #expect(try module["model.2"]?.buffers["anchors"]?.floats() == [1, 2, 10, 5], "the smaller come first")
  }

  @Test(arguments: [
    ("[-1, 1, Conv, [0]]", "line 7: layer 0 (Conv): its first argument must be a number of channels from 1 to 1048576"),
    ("[-1, 1, Conv, [8, 3, 0]]", "line 7: layer 0 (Conv): there is no convolution of 3 to 8 channels"),
    ("[-1, 1, Conv, [8, 3, 1, None, 2]]", "there is no convolution of 3 to 8 channels in 2 groups"),
    ("[-1, 1, Conv, [8, 1, 1, None, 1, 1, True, 5]]", "line 7: layer 0 (Conv): Conv takes at most"),
    ("[-1, 1, Conv, [8, nearest]]", "argument 1 of Conv must be a whole number or two in a list"),
    ("[-1, 1, Shell, [8]]", "line 7: layer 0 (Shell): the module 'Shell' is not known"),
    ("[-1, 1, os.system, ['ls']]", "the module 'os.system' is not known"),
    (
      "[-1, 1, Conv, [__import__('os')]]",
      "line 7: '__import__('os')' is no number, name or list; expressions are not evaluated"
    ),
    ("[-1, 1, Conv, [2*4]]", "line 7: '2*4' is no number, name or list; expressions are not evaluated"),
    ("[-1, 1, Conv, [8, 1, 1, None, 1, 1, nn.Module()]]", "line 7: 'nn.Module()' is no activation that is known"),
    ("[-1, 0, Conv, [8]]", "line 7: a layer is repeated 0 times; from 1 to 1000 are built"),
    ("[-1, 1, Conv]", "line 7: a layer is [from, number, module, [arguments]]"),
    ("[3, 1, Conv, [8]]", "line 7: layer 0 (Conv): the first layer takes the picture: -1, not 3"),
    ("[[-1], 1, Conv, [8]]", "line 7: layer 0 (Conv): takes one layer, not a list"),
    ("[-1, 1, Conv, [8], 5]", "a layer is [from, number, module, [arguments]]"),
    ("[-1, 1, SPPF, [8, 4]]", "cannot join shapes"),
    ("[-1, 1, Conv, [8, 3, 300]]", "a batch norm in training needs more than one value per channel"),
    ("[-1, 1, Contract, [3]]", "cannot divide 256 by 3"),
    ("[-1, 1, nn.MaxPool2d, [2, 2, 2]]", "there is no MaxPool2d with kernel 2, stride 2 and padding 2"),
    ("[-1, 1, nn.Upsample, [None, 2, 'cubic']]", "nn.Upsample has no mode 'cubic'"),
    ("[-1, 1, nn.Upsample, [7, 2]]", "nn.Upsample takes either a size or a factor"),
    ("[-1, 1, MixConv2d, [8, [3], 1, False]]", "MixConv2d is built with equal shares of the channels only"),
    ("[-1, 1, Conv, [8, 3, 2", "line 8: a comma or a closing bracket is missing"),
    ("[-1, 1, Conv, [8 3]]", "expressions are not evaluated"),
    ("{a: 1}", "line 7: a layer is [from, number, module, [arguments]]"),
    ("[-1, 1, Conv, [{a: 1}]]", "line 7: a mapping is no argument of a layer"),
    ("&x [-1, 1, Conv, [8]]", "line 7: '&' begins something that is not read here"),
    ("[-1, 1, \"Conv\\n\", [8]]", "line 7: an escape in quotes that is not read here"),
    ("[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", "line 7: is nested deeper than 16"),
  ])
  func refusedLayers(_ layer: String, reason: String) {
    let message = refusal(description([layer]))
    #expect(message?.hasPrefix("net.yaml: ") == true && message?.contains(reason) == true, "\(message ?? "accepted")")
  }

  @Test(arguments: [
    ("nc: 2", "nc: 0", "line 1: 'nc' must be a whole number from 1 to 1048576"),
    ("nc: 2", "nc: two", "line 1: 'nc' must be a whole number"),
    ("nc: 2", "nc: 2\nnc: 3", "line 2: 'nc' stands there twice"),
    ("nc: 2", "", "has no 'nc'"),
    ("nc: 2", "nc 2", "line 1: 'nc 2' is not followed by a colon"),
    ("width_multiple: 1", "width_multiple: 101", "line 3: 'width_multiple' must be a number from 0.0 to 100.0"),
    ("width_multiple: 1", "width_multiple: 0", "layer 0 (Conv): there is no convolution of 3 to 0 channels"),
    ("anchors: 1", "anchors: 0", "line 4: 'anchors' must be a number, or for each level"),
    ("anchors: 1", "anchors: [[1, 2, 3]]", "line 4: 'anchors' must be a number, or for each level"),
    ("anchors: 1", "anchors: [[1, 2], [3, 4]]", "argument 2 of Detect must be anchors for each of the 1 levels"),
    ("backbone:", "backbone: 5\nother:", "line 6: a list of layers is expected"),
    ("Detect", "Conv", "line 9: layer 1 (Conv): takes one layer, not a list"),
    ("[[-1], 1, Detect, [nc, anchors]]", "[-1, 1, Conv, [8]]", "its last layer must be Detect or Segment"),
    (
      "[[-1], 1, Detect", "[[5], 1, Detect",
      "line 9: layer 1 (Detect): takes the output of layer 5, which is none before it"
    ),
    ("[nc, anchors]]", "[nc]]", "argument 2 of Detect must be anchors"),
    ("  # half", "  5", "line 2: '0.5  5' is no number"),
  ])
  func refusedSettings(_ old: String, _ new: String, reason: String) {
    let message = refusal(description(["[-1, 1, Conv, [8, 3, 2]]"]).replacing(old, with: new))
    #expect(message?.hasPrefix("net.yaml: ") == true && message?.contains(reason) == true, "\(message ?? "accepted")")
  }

  @Test func bounds() {
    let many = [String](repeating: "[-1, 1000, Conv, [8]]", count: 40)
    #expect(refusal(description(many))?.contains("its layers are repeated 20001 times in all") == true)
    let layers = [String](repeating: "[-1, 1, Conv, [8]]", count: 1000)
    #expect(refusal(description(layers))?.contains("has 1001 layers; from 1 to 1000 are built") == true)
    let doubling = ["[-1, 1, Conv, [1048576]]"] + [String](repeating: "[[-1, -1], 1, Concat, [1]]", count: 100)
    #expect(refusal(description(doubling))?.contains("gives 2147483648 channels; at most 1073741824 are built") == true)
    let folding = [String](repeating: "[-1, 1, Contract, [1024]]", count: 9)
    #expect(refusal(description(folding))?.contains("channels; at most 1073741824 are built") == true)
    let nested = [String](repeating: "[-1, 900, C3SPP, [8, [3], 1000]]", count: 4)
    #expect(refusal(description(nested))?.contains("the model has more than 262144 parameters") == true)
    let anchors = description(["[-1, 1, Conv, [8]]"]).replacing("anchors: 1", with: "anchors: [[1e300, 2]]")
    #expect(refusal(anchors) == nil, "infinite in float32, as in the original")
    let large = "#" + String(repeating: "x", count: 1 << 20)
    #expect(refusal(large)?.contains("a YAML of at most 1048576 is read") == true)
    #expect(refusal("")?.contains("the file describes nothing") == true)
    #expect(refusal("- 1\n- 2")?.contains("is no mapping of names to values") == true)
    #expect(refusal(String(repeating: "[", count: 100_000))?.contains("nested deeper") == true)
    #expect(refusal(String(repeating: "- ", count: 100_000))?.contains("is written in brackets") == true)
    let wide = description(["[-1, 1, Conv, [1048576, 1000]]", "[-1, 1, Conv, [1048576, 1048576]]"])
    #expect(refusal(wide.replacing("width_multiple: 1", with: "width_multiple: 100"))?.contains("too large") == true)
  }

  @Test func signsOfADescription() {
    func file(_ text: String) -> FileBytes { FileBytes(name: "x", copying: Array(text.utf8)) }
    #expect(Architecture.recognizes(yaml: file(description(["[-1, 1, Conv, [8]]"]))))
    #expect(!Architecture.recognizes(yaml: file("")))
    #expect(!Architecture.recognizes(yaml: file("backbone:\n  head:\n")))
    #expect(!Architecture.recognizes(yaml: file("backbone:\nhead:\n\0")))
  }

  /// A layer with a bias turns the constructor's zeros into numbers, whose statistics only a forward pass would tell.
  @Test func statisticsThatAreNotComputed() throws {
    let net = try architecture(
      description(["[-1, 1, nn.ConvTranspose2d, [8, 3, 2, 1, 1]]", "[-1, 1, Conv, [8, 3, 4]]"]))
    let module = try net.module()
    #expect {
      try module["model.1.bn"]?.buffers["running_mean"]?.floats()
    } throws: { error in
      "\(error)".hasPrefix("model.1.bn: the original's constructor fills its running statistics")
    }
  }
}
