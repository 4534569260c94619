import ModelCore

#if canImport(FoundationEssentials)
  import FoundationEssentials
#elseif canImport(Foundation)
  import Foundation
#endif

extension ModuleRecord {
  /// The module that a text describes, with the tensors given.
  /// - Throws: `ModelError` where the text is none, or describes a module of other tensors than these.
  static func module(_ text: String, tensors state: StateDict) throws -> Module {
    guard text.utf8.count <= sizeLimit else { throw ModelError(.limit, "is longer than \(sizeLimit) bytes") }
    var text = text
    let module = try text.withUTF8 { bytes in
      var reader = Reader(UnsafeRawBufferPointer(bytes), state)
      return try reader.read()
    }
    let names = module.stateDict().names
    guard names.count == state.count else {
      let other = state.names.first { !names.contains($0) } ?? ""
      throw ModelError(.mismatch, "does not know the tensor '\(other.printable())'")
    }
    try module.validate()
    return module
  }

  private struct Reader {
    private var json: JSONReader
    private let state: StateDict
    private var modules: [String: (module: Module, extent: ModuleExtent)] = [:]
    private var parameters: [String: Parameter] = [:]
    private var attributeBudget = 1 << 20

    init(_ bytes: UnsafeRawBufferPointer, _ state: StateDict) {
      json = JSONReader(bytes, file: "")
      self.state = state
    }

    mutating func read() throws -> Module {
      var module: Module?
      try json.openObject()
      while let name = try json.nextName() {
        if name == "version" {
          guard try json.readNumber() == 1 else { throw json.failure("is of a version that is not known") }
        } else if name == "module" {
          module = try readModule(path: "", depth: 0).module
        } else {
          try json.skipValue()
        }
      }
      try json.finish()
      guard let module else { throw json.failure("has no module") }
      return module
    }

    private mutating func readModule(path: String, depth: Int) throws -> (module: Module, extent: ModuleExtent) {
      guard depth < depthLimit else { throw json.failure("modules are nested deeper than \(depthLimit)") }
      var module = Module(ClassName("", ""))
      var className: ClassName?
      var extent = ModuleExtent()
      try json.openObject()
      while let field = try json.nextName() {
        switch field.string {
        case "class":
          let parts = try readTexts()
          guard parts.count == 2 else { throw json.failure("a class is a path and a name", at: field.offset) }
          className = ClassName(parts[0], parts[1])
        case "training": module.isTraining = try json.readBool()
        case "parameters": try readParameters(&module, path)
        case "buffers":
          for name in try readTexts() { module.buffers[name] = try tensor(dotted(path, name)) }
        case "transient":
          try json.openObject()
          while let name = try json.nextName() {
            module.buffers[name.string] = try readTensor()
            module.nonPersistentBuffers.insert(name.string)
          }
        case "attributes":
          try json.openObject()
          while let name = try json.nextName() { module.attributes[name.string] = try readAttribute() }
        case "children":
          try json.openObject()
          while let name = try json.nextName() {
            let name = name.string
            let child = try readChild(path: dotted(path, name), depth: depth + 1)
            module.children[name] = child.module
            extent.add(name, child.extent)
            try extent.check(path)
          }
        default: try json.skipValue()
        }
      }
      guard let className else { throw json.failure("a module has no class") }
      for name in module.parameters.keys.elements + module.buffers.keys.elements { extent.add(name, ModuleExtent()) }
      var result = Module(
        className, isTraining: module.isTraining, parameters: module.parameters, buffers: module.buffers,
        nonPersistentBuffers: module.nonPersistentBuffers, children: module.children, attributes: module.attributes)
      result.layer = LayerRecognition.layer(of: result)
      modules[path] = (result, extent)
      return (result, extent)
    }

    private mutating func readChild(path: String, depth: Int) throws -> (module: Module, extent: ModuleExtent) {
      guard json.peek() == UInt8(ascii: "\"") else { return try readModule(path: path, depth: depth) }
      let earlier = try json.readText()
      guard let known = modules[earlier.string] else {
        throw json.failure("a module is another that is not there", at: earlier.offset)
      }
      return known
    }

    private mutating func readParameters(_ module: inout Module, _ path: String) throws {
      try json.openObject()
      while let name = try json.nextName() {
        let place = dotted(path, name.string)
        guard json.peek() == UInt8(ascii: "\"") else {
          let parameter = Parameter(try tensor(place), requiresGrad: try json.readBool())
          module.parameters[name.string] = parameter
          parameters[place] = parameter
          continue
        }
        let earlier = try json.readText()
        guard let known = parameters[earlier.string] else {
          throw json.failure("a parameter is another that is not there", at: earlier.offset)
        }
        // One that was changed alone is no longer the other.
        let own = try tensor(place)
        module.parameters[name.string] =
          own.identity == known.tensor.identity ? known : Parameter(own, requiresGrad: known.requiresGrad)
      }
    }

    private func tensor(_ name: String) throws -> Tensor {
      guard let tensor = state[name] else {
        throw ModelError(.mismatch, "names a tensor that is not there, '\(name.printable())'")
      }
      return tensor
    }

    private mutating func readTexts() throws -> [String] {
      var texts: [String] = []
      try json.openArray()
      while try json.nextElement() { texts.append(try json.readText().string) }
      return texts
    }

    // MARK: Attributes

    private mutating func readAttribute() throws -> Attribute {
      attributeBudget -= 1
      guard attributeBudget > 0 else { throw json.failure("holds too many attributes") }
      switch json.peek() {
      case UInt8(ascii: "n"):
        _ = try json.readNull()
        return .none
      case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool(try json.readBool())
      case UInt8(ascii: "\""): return .string(try json.readText().string)
      case UInt8(ascii: "["): return .list(try readItems())
      case UInt8(ascii: "{"): return try readTagged()
      default:
        switch try json.readSigned() {
        case .integer(let number): return .int(number)
        case .double(let number): return .double(number)
        }
      }
    }

    private mutating func readItems() throws -> [Attribute] {
      var items: [Attribute] = []
      try json.openArray()
      while try json.nextElement() { items.append(try readAttribute()) }
      return items
    }

    private mutating func readEntries() throws -> [Attribute.Entry] {
      let items = try readItems()
      guard items.count % 2 == 0 else { throw json.failure("a dict has a key without a value") }
      return stride(from: 0, to: items.count, by: 2).map { .init(key: items[$0], value: items[$0 + 1]) }
    }

    private mutating func readTagged() throws -> Attribute {
      var value: Attribute?
      var requiresGrad: Bool?
      try json.openObject()
      while let tag = try json.nextName() {
        switch tag.string {
        case "tuple": value = .tuple(try readItems())
        case "size": value = .size(try readLengths())
        case "dict": value = .dict(try readEntries())
        case "ordered": value = .orderedDict(try readEntries())
        case "set": value = .set(try readItems())
        case "frozenset": value = .frozenSet(try readItems())
        case "tensor": value = .tensor(.init(try readTensor()))
        case "parameter": requiresGrad = try json.readBool()
        case "method": value = .boundMethod(try json.readText().string)
        case "function":
          let parts = try readTexts()
          guard parts.count == 3 else { throw json.failure("a function is of a class", at: tag.offset) }
          value = .unboundMethod(ClassName(parts[0], parts[1]), parts[2])
        case "float": value = .double(Double(try json.readText().string) ?? .nan)
        case "opaque": value = .opaque(try json.readText().string)
        default: throw json.failure("is of a kind that is not known", at: tag.offset)
        }
      }
      guard let value else { throw json.failure("an attribute has no kind") }
      if let requiresGrad, case .tensor(let held) = value {
        return .tensor(.init(held.tensor, requiresGrad: requiresGrad))
      }
      return value
    }

    private mutating func readLengths() throws -> [Int] {
      try readItems().map { item in
        guard let length = item.intValue else { throw json.failure("a length is no whole number") }
        return length
      }
    }

    private mutating func readTensor() throws -> Tensor {
      try json.openArray()
      guard try json.nextElement(), let dtype = DType(rawValue: try json.readText().string), try json.nextElement()
      else { throw json.failure("a tensor's element type is not known") }
      let shape = try readLengths()
      guard try json.nextElement(), let data = Data(base64Encoded: try json.readText().string), try !json.nextElement()
      else { throw json.failure("a tensor's bytes are not in base64") }
      let storage = try Storage(byteCount: data.count) { memory in
        data.withUnsafeBytes { memory.copyMemory(from: $0) }
      }
      guard shape.allSatisfy({ $0 >= 0 }) else { throw json.failure("a tensor has a negative length") }
      let tensor = try Tensor(storage, dtype: dtype, shape: shape)
      guard tensor.byteCount == data.count else { throw json.failure("a tensor's bytes are not those of its shape") }
      return tensor
    }
  }
}
