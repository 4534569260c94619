import Foundation
import Testing

/// Every Swift snippet of an article stands in the example of the article's name, but for how far it is indented, and
/// so compiles and runs.
@Suite struct Articles {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
  static let catalogue = folder.appending(path: "../../Sources/ModelUtils/ModelUtils/ModelUtils.docc")
    .standardizedFileURL

  static func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: catalogue.path()).filter { $0.hasSuffix(".md") }
      .map { String($0.dropLast(3)) }.sorted()
  }

  /// The snippets of an article, without the indentation of their least indented line.
  static func snippets(of article: String) -> [[Substring]] {
    var snippets: [[Substring]] = []
    var isInside = false
    for line in article.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("```") {
        isInside = line.hasPrefix("```swift")
        if isInside { snippets.append([]) }
      } else if isInside {
        snippets[snippets.count - 1].append(line)
      }
    }
    return snippets
  }

  /// Whether the lines stand in the text one behind the other, all indented by as much.
  static func contains(_ text: [Substring], _ snippet: [Substring]) -> Bool {
    guard let first = snippet.first, text.count >= snippet.count else { return false }
    return text.indices.dropLast(snippet.count - 1).contains { start in
      guard text[start].hasSuffix(first) else { return false }
      let indentation = text[start].dropLast(first.count)
      return indentation.allSatisfy { $0 == " " }
        && zip(snippet, text[start...]).allSatisfy { $0.isEmpty ? $1.isEmpty : indentation + $0 == $1 }
    }
  }

  @Test(arguments: try names())
  func isCompiled(name: String) throws {
    let article = try String(contentsOf: Self.catalogue.appending(path: "\(name).md"), encoding: .utf8)
    let snippets = Self.snippets(of: article)
    if snippets.isEmpty { return }
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path())
      .filter { $0 == "\(name).swift" || $0.hasPrefix("\(name)+") }
    #expect(!files.isEmpty, "Tests/Examples/\(name).swift is missing")
    let text = try files.map { try String(contentsOf: Self.folder.appending(path: $0), encoding: .utf8) }
      .joined(separator: "\n").split(separator: "\n", omittingEmptySubsequences: false)
    for snippet in snippets {
      let isThere = Self.contains(text, snippet)
      #expect(isThere, "not in \(name).swift:\n\(snippet.joined(separator: "\n"))")
    }
  }
}
