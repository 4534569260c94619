import Foundation
import ModelCore
import ModelImages
import SystemPackage

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// The bytes that hexadecimal digits stand for.
func bytes(hex: String) -> [UInt8] {
  var (bytes, rest): ([UInt8], Substring) = ([], hex[...])
  while !rest.isEmpty {
    bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
    rest = rest.dropFirst(2)
  }
  return bytes
}

func contents(_ path: FilePath) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(fileURLWithPath: path.string))) }

func text(_ path: FilePath) throws -> String { try String(decoding: contents(path), as: UTF8.self) }

func append(_ text: String, to path: FilePath) throws {
  let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path.string))
  try file.seekToEnd()
  try file.write(contentsOf: Data(text.utf8))
  try file.close()
}

/// A picture that no compression makes small.
func noise(_ height: Int, _ width: Int, seed: UInt64 = 1) throws -> ImageFile {
  var state = seed
  return try ImageFile(
    pixels: Tensor(
      (0..<height * width * 3).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 40)
      }, [height, width, 3]))
}

/// An element of an XML text.
struct Element {
  let name: String
  let attributes: [String: String]
  var text = ""
}

/// The elements of a drawing or page, in the order of their ends; nil where it is no XML.
func elements(_ xml: String) -> [Element]? {
  let source = xml.replacingOccurrences(of: "<!DOCTYPE html>\n", with: "")
  let reader = Reader()
  let parser = XMLParser(data: Data(source.utf8))
  parser.delegate = reader
  return parser.parse() ? reader.finished : nil
}

private final class Reader: NSObject, XMLParserDelegate {
  private var open: [Element] = []
  private(set) var finished: [Element] = []

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    open.append(Element(name: name, attributes: attributes))
  }

  func parser(_ parser: XMLParser, foundCharacters text: String) {
    if !open.isEmpty { open[open.count - 1].text += text }
  }

  func parser(_ parser: XMLParser, didEndElement: String, namespaceURI: String?, qualifiedName: String?) {
    if let element = open.popLast() { finished.append(element) }
  }
}
